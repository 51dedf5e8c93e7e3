"""The one version of a release, and where it stands: `python3 scripts/release/version.py write
1.2.3` in a checkout, or `check 1.2.3`. It needs Python's own library only.
"""

import argparse
import re
import sys
from pathlib import Path

PLACES = (
    ("pyproject.toml", r'^version = "(.+)"$'),
    ("uv.lock", r'^name = "model-rollouts"\nversion = "(.+)"$'),
    ("charts/rollout-operator/Chart.yaml", r"^version: (.+)$"),
    ("charts/rollout-operator/Chart.yaml", r"^appVersion: (.+)$"),
    ("charts/model/Chart.yaml", r"^version: (.+)$"),
    ("charts/model/Chart.yaml", r"^appVersion: (.+)$"),
    ("monitoring/reference-inference.yaml", r"image: model-rollouts/inference:(.+)$"),
)
"""Files, and what finds the version in each: an appVersion is the tag of the chart's images."""


def standing(root: Path) -> list[tuple[str, str]]:
    """Each file with the version that stands in it; "" where there is none."""
    found = []
    for file, pattern in PLACES:
        match = re.search(pattern, (root / file).read_text(), re.MULTILINE)
        found.append((file, match[1] if match else ""))
    return found


def here(root: Path) -> str:
    """The version of a checkout's package."""
    return standing(root)[0][1]


def other(root: Path, version: str) -> list[str]:
    """The files that have another version, each once."""
    return [*dict.fromkeys(file for file, found in standing(root) if found != version)]


def write(root: Path, version: str) -> None:
    """Write the version wherever it stands."""
    for file, pattern in PLACES:
        path = root / file
        text = path.read_text()
        if match := re.search(pattern, text, re.MULTILINE):
            path.write_text(text[: match.start(1)] + version + text[match.end(1) :])


def main() -> int:
    """Write or check it in the current folder; 1 with a sentence where it stands otherwise."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("verb", choices=("write", "check"))
    reader.add_argument("version", help="without v")
    asked = reader.parse_args()
    root = Path.cwd()
    if asked.verb == "write":
        write(root, asked.version)
    if files := other(root, asked.version):
        print(
            f"Another version than v{asked.version} stands in {', '.join(files)}: run"
            f" `python3 scripts/release/version.py write {asked.version}`."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
