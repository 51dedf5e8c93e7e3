"""What the command line shows of approvals, of windows, and of who commanded what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout_cli.commands.history import attempts
from rollout_cli.commands.simulate import SimulationResult, decided_besides
from rollout_cli.exit_codes import Exit
from rollout_cli.offline.crd_validation import judge
from rollout_cli.view.formatting import PRETTY
from rollout_cli.view.rollout_view import picture
from rollout_cli.view.table import table
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.status import Act, Attempt, Status
from rollout_operator.domain.api.words import Reason, Verdict
from tests.support.builders import at, on_trial, revision, spec
from tests.support.spec_cases import with_window
from tests.unit.cli.builders import printed, rollout, snapshot

ACT = Act(verb="approve", by="ann", verified=True, reason="labels look right", at=at(30))
ASKED = on_trial(reason=Reason.WAITING_FOR_APPROVAL, approval_since=at(0))
FROZEN = on_trial(reason=Reason.FROZEN, frozen="Frozen until …", frozen_until=at(3600))

SHOWN: dict[str, tuple[Status, str, str]] = {
    "a person is waited for": (ASKED, "Trial (to approve)", "waits for approval for 1 min"),
    "a freeze": (FROZEN, "Trial (frozen)", "frozen until 2026-11-23 13:00 UTC"),
    "a freeze without end": (
        FROZEN.model_copy(update={"frozen_until": None}),
        "Trial (frozen)",
        "frozen",
    ),
    "a pause is stronger": (
        ASKED.model_copy(update={"paused_since": at(1)}),
        "Trial (paused)",
        "paused for",
    ),
}


@pytest.mark.parametrize(("status", "cell", "headline"), SHOWN.values(), ids=SHOWN.keys())
def test_what_holds_it_is_shown(status: Status, cell: str, headline: str) -> None:
    shown = rollout(status)
    now = at(60)
    assert cell in printed(table([shown], now, PRETTY, False, False), 120)
    assert headline in printed(picture(snapshot(shown, 60), 120, PRETTY), 120)


def test_history_says_who_did_what_and_why() -> None:
    ended = Attempt(
        attempt=1,
        uri="models:/iris/1",
        revision=revision(1).revision,
        verdict=Verdict.PROMOTED,
        reason="GatesPassed",
        message="models:/iris/1 is stable.",
        started=at(-600),
        ended=at(-500),
        acts=(ACT,),
    )
    guess = ACT.model_copy(update={"verb": "skip", "verified": False, "reason": ""})
    status = on_trial(history=(ended,), acts=(guess,))
    said = printed(attempts(rollout(status), at(60), PRETTY), 200)
    assert "approve by ann, 2026-11-23 12:00:30 UTC: labels look right" in said
    assert "skip by ann (unverified), 2026-11-23 12:00:30 UTC" in said


FRIDAY = {
    "schedule": "FREQ=WEEKLY;BYDAY=FR",
    "start": "2026-01-02T18:00",
    "timeZone": "Europe/Berlin",
    "duration": "62h",
}
ENDS: dict[str, tuple[dict[str, Any], Exit, str, list[str]]] = {
    "a person would be waited for": (
        {"approval": "Required"},
        Exit.PROMOTED,
        "2026-11-25T12:00",
        ["In a cluster it would wait for a person there"],
    ),
    "nobody is, of what is rolled back": (
        {"approval": "Required"},
        Exit.ROLLED_BACK,
        "2026-11-25T12:00",
        [],
    ),
    "the next window": (
        {"windows": [FRIDAY]},
        Exit.PROMOTED,
        "2026-11-25T12:00",
        ["By its windows it is next frozen at 2026-11-27 17:00 UTC."],
    ),
    "a window that is open": (
        {"windows": [FRIDAY]},
        Exit.PROMOTED,
        "2026-11-28T12:00",
        ["it would be frozen now, until 2026-11-30 07:00 UTC", "next frozen at 2026-12-04"],
    ),
    "nothing": ({}, Exit.PROMOTED, "2026-11-28T12:00", []),
}


@pytest.mark.parametrize(("strategy", "ended", "now", "sentences"), ENDS.values(), ids=ENDS.keys())
def test_what_simulate_says_besides(
    strategy: dict[str, Any], ended: Exit, now: str, sentences: list[str]
) -> None:
    given = spec("models:/iris/2", **{f"strategy__{name}": v for name, v in strategy.items()})
    end = SimulationResult(ended, "", timedelta(), "")
    said = list(decided_besides(given, end, datetime.fromisoformat(now).replace(tzinfo=UTC)))
    assert len(said) == len(sentences)
    assert all(sentence in line for sentence, line in zip(sentences, said, strict=True))


def test_lint_finds_a_rule_that_never_opens() -> None:
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "iris"},
        "spec": with_window(schedule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
    }
    (finding,) = judge(manifest)
    assert finding.path == ("spec", "strategy", "windows", 0)
    assert "does not occur within four years" in finding.message
