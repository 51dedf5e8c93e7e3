"""What `--help` says of the verbs, and what is said of a command line that is wrong."""

import pytest

from rollout_cli.__main__ import run
from rollout_cli.app import PANELS, app, unwrapped
from rollout_cli.exit_codes import Exit

VERBS = {verb.__name__: verb for verbs in PANELS.values() for verb in verbs}


def test_every_verb_is_a_command() -> None:
    assert [command.callback for command in app.registered_commands] == list(VERBS.values())


@pytest.mark.parametrize("name", VERBS)
def test_a_sentence_is_broken_by_the_terminal_alone(name: str) -> None:
    """A line break of the source would stand in the panel as it is."""
    paragraphs = unwrapped(VERBS[name]).split("\n\n")
    assert all(paragraphs)
    assert not any("\n" in paragraph for paragraph in paragraphs)
    (command,) = [c for c in app.registered_commands if c.callback is VERBS[name]]
    assert command.help == unwrapped(VERBS[name])


MISTAKES = {
    "an option out of its range": (["feedback", "iris", "f", "--batch", "0"], "'--batch': "),
    "an option that is no number": (["simulate", "f", "--runs", "many"], "'--runs': "),
    "an option that is missing": (["promote-to", "iris"], "Missing option '--repository'"),
    "an argument that is missing": (["feedback", "iris"], "Missing argument 'file'"),
    "an option that is none": (["feedback", "--file", "x"], "No such option: --file"),
}


@pytest.mark.parametrize(("words", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_on_the_command_line_names_its_place(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == Exit.USAGE
    err = capsys.readouterr().err
    assert err.startswith("Error: ")
    assert said in err
