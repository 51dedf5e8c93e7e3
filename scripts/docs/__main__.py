"""`python -m scripts.docs write|check|pictures`: make what is generated, hold the form of all
pages, draw the pictures.
"""

import difflib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import click

from scripts.docs import (
    api,
    environment,
    gitops,
    helm_values,
    links,
    machine,
    pictures,
    prose,
    routers,
    schema,
    served_models,
)

ROOT = Path(__file__).parents[2]
MADE: Mapping[Path, Callable[[], str]] = {
    ROOT / "docs" / "reference" / "modelrollout.md": api.reference,
    ROOT / "docs" / "reference" / "helm-values.md": helm_values.reference,
    ROOT / "docs" / "reference" / "environment.md": environment.reference,
    ROOT / "docs" / "reference" / "models.md": served_models.reference,
    ROOT / "docs" / "reference" / "routers.md": routers.reference,
    ROOT / "docs" / "reference" / "modelrollout.schema.json": schema.text,
    ROOT / "docs" / "pictures" / "phases.dot": machine.picture,
    gitops.PAGE: gitops.page,
    **{page: partial(machine.with_part, part) for part, (page, _) in machine.PARTS.items()},
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """What of the documents is made and not written, and what form the rest has."""


@main.command()
def write() -> None:
    """Write what is generated."""
    for path, make in MADE.items():
        path.write_text(make())
        click.echo(f"wrote {path.relative_to(ROOT)}")


@main.command()
def check() -> None:
    """Say what is stale, out of form, or linked to nowhere; exit code 1 where anything is."""
    found = False
    for path, make in MADE.items():
        there, made = path.read_text() if path.exists() else "", make()
        if there != made:
            found = True
            lines = difflib.unified_diff(
                there.splitlines(),
                made.splitlines(),
                str(path.relative_to(ROOT)),
                "generated",
                lineterm="",
                n=1,
            )
            click.echo("\n".join([*lines][:40]))
            click.echo(f"{path.relative_to(ROOT)} is stale: run 'make docs'")
    for name in pictures.stale():
        found = True
        click.echo(
            f"docs/pictures/{name}.svg is not drawn from docs/pictures/{name}.dot as it stands: run"
            " 'make pictures'"
        )
    for document in links.documents():
        for link in links.dead(document):
            found = True
            click.echo(f"{document.relative_to(ROOT)}: the link to {link} is dead")
    for file, page in links.mentioned():
        if not (ROOT / page).exists():
            found = True
            click.echo(f"{file.relative_to(ROOT)} names {page}, which is not there")
    for sentence in prose.complaints():
        found = True
        click.echo(sentence)
    sys.exit(found)


@main.command(name="pictures")
def draw() -> None:
    """Draw docs/pictures/*.dot to SVG; needs Graphviz."""
    try:
        pictures.draw()
    except pictures.NotDrawn as trouble:
        raise click.ClickException(str(trouble)) from trouble


if __name__ == "__main__":
    main()
