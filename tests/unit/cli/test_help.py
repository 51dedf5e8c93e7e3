"""What `--help` says of the verbs."""

import pytest

from rollout_cli.app import PANELS, app, unwrapped

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
