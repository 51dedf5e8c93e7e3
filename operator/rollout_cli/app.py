"""The command line: its verbs, in the panels of its help."""

import inspect
from collections.abc import Callable

import typer

from rollout_cli.verbs import before_and_after, see, steer

EXITS = (
    "Exit codes: 0 done, or promoted · 1 rolled back, or something found · 2 timed out · 3"
    " superseded · 64 wrong usage · 66 not there · 69 cluster or Prometheus unreachable · 77"
    " refused."
)
PANELS = {
    "See": (see.get, see.status, see.explain, see.history, see.dashboard),
    "Steer": (
        steer.promote,
        steer.approve,
        steer.abort,
        steer.retry,
        steer.skip,
        steer.pause,
        steer.resume,
    ),
    "Before and after": (
        before_and_after.lint,
        before_and_after.simulate,
        before_and_after.report,
        before_and_after.promote_to,
        before_and_after.feedback,
        before_and_after.doctor,
    ),
}
"""The verbs by panel, in the order of the help."""


def unwrapped(verb: Callable[..., None]) -> str:
    """What a verb does: its docstring, whose lines are broken anew by whoever prints it."""
    paragraphs = (inspect.getdoc(verb) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


app = typer.Typer(
    name="kubectl-modelrollout",
    help="See, explain and steer ModelRollouts.",
    epilog=EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
for panel, verbs in PANELS.items():
    for verb in verbs:
        app.command(rich_help_panel=panel, help=unwrapped(verb))(verb)
