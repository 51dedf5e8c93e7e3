"""Writes data/raw/birds.csv: 360 made-up birds of three species, with text, truth values, dates and
gaps. Used by docs/getting-started/first-model.md.
"""

import csv
import random
from datetime import date, timedelta
from pathlib import Path

SPECIES = {  # bill length and depth in mm, wing in mm, mass in g, and where most of them live
    "auk": (31.0, 17.0, 205.0, 720.0, "north"),
    "puffin": (34.0, 19.0, 166.0, 420.0, "west"),
    "razorbill": (33.0, 20.0, 198.0, 640.0, "south"),
}
SPREAD = (2.0, 1.2, 7.0, 60.0)
ISLANDS = ("north", "south", "west")
COLUMNS = ["island", "bill_length", "bill_depth", "wing", "mass", "sex", "ringed", "seen"]


def bird(chance: random.Random) -> list[object]:
    """One row; each cell but the species is missing now and then."""
    species = chance.choice(list(SPECIES))
    *sizes, home = SPECIES[species]
    male = chance.random() < 0.5
    measured = [
        round(chance.gauss(size * (1.03 if male else 0.97), spread), 1)
        for size, spread in zip(sizes, SPREAD, strict=True)
    ]
    cells = [
        home if chance.random() < 0.7 else chance.choice(ISLANDS),
        *measured,
        "male" if male else "female",
        str(chance.random() < 0.4).lower(),
        date(2025, 4, 1) + timedelta(days=chance.randrange(120)),
    ]
    often = [0.02, 0.03, 0.03, 0.01, 0.03, 0.15, 0.05, 0.02]
    gaps = ["" if chance.random() < one else cell for one, cell in zip(often, cells, strict=True)]
    return [*gaps, species]


if __name__ == "__main__":
    target = Path("data/raw/birds.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)  # noqa: S311 - nothing secret
    with target.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [[*COLUMNS, "species"], *(bird(chance) for _ in range(360))]
        )
    print(f"Wrote {target}.")
