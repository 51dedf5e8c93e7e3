"""What `get` draws, at the two usual widths and where there are no colours or signs."""

from typing import Any

import pytest

from rollout_cli.api.snapshot import Snapshot
from rollout_cli.view.formatting import PLAIN, PRETTY
from rollout_cli.view.rollout_view import picture
from rollout_operator.domain.api.analysis import EvidenceKind
from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.status import Status, Watch
from rollout_operator.domain.api.words import Phase
from tests.support.builders import START, at, on_trial, revision, spec
from tests.unit.cli.builders import gate, pod, printed, rollout, snapshot

STABLE, CANDIDATE = revision(1), revision(2)


def mid_trial(**changes: Any) -> Snapshot:
    status = on_trial(
        gates=(gate(),), message="Step 1 of 2: 10 % of requests go to models:/iris/2.", **changes
    )
    points = {
        STABLE.revision: [(START.timestamp() + n, 0.7556) for n in range(-48, 13)],
        CANDIDATE.revision: [(START.timestamp() + n, 0.8889) for n in range(13)],
    }
    pods = (pod(STABLE.revision), pod(CANDIDATE.revision, "CrashLoopBackOff"))
    return snapshot(rollout(status), 12, accuracy=points, pods=pods)


@pytest.mark.parametrize("width", [80, 160])
def test_a_trial_fits_and_says_everything(width: int) -> None:
    drawn = printed(picture(mid_trial(), width, PRETTY), width)
    assert max(map(len, drawn.splitlines())) <= width
    for part in (
        "Trial · attempt 2 · 12 s",
        "✔ pods ── ● 10 % (12 s of 20 s) ── ○ 50 % ── ○ 100 % ── ○ stable",
        "candidate 10 % █",
        "░ 90 % stable",
        "0.889 candidate",
        "0.756 stable",
        "0.700 asked",
        "1 min ago",
        (
            f"candidate  models:/iris/2  {'revision ' if width == 160 else ''}{CANDIDATE.revision} "
            " 10 % of requests"
        ),
        "✔ accuracy  0.8889 ≥ 0.7  45 samples",
        "CrashLoopBackOff",
        "stable  models:/iris/1",
    ):
        assert part in drawn


@pytest.mark.parametrize("width", [80, 160])
def test_what_is_watched_shows_what_it_would_return_to(width: int) -> None:
    status = on_trial(
        phase=Phase.PROMOTED,
        stable=CANDIDATE,
        candidate=None,
        step=None,
        weight=0,
        retiring=(STABLE,),
        watch=Watch(former=STABLE.revision, since=at(0), until=at(86400)),
    )
    drawn = printed(picture(snapshot(rollout(status), 12), width, PRETTY), width)
    assert "former  models:/iris/1" in drawn
    assert "kept until 2026-11-24 12:00 UTC" in drawn


def test_signs_of_an_old_terminal() -> None:
    drawn = printed(picture(mid_trial(), 80, PLAIN), 80)
    assert drawn.translate({ord(guide): "|" for guide in "├└│─"}).isascii(), (
        "but for the tree's guides, which rich adapts to the terminal"
    )


SAID: dict[str, tuple[Status, int, str]] = {
    "never seen": (Status(), 1, "has not seen this rollout yet"),
    "a newer spec": (on_trial(), 2, "has not seen that yet"),
    "paused": (on_trial(paused_since=at(2)), 1, "paused for 10 s"),
    "halted": (on_trial(halted=True), 1, "halted"),
    "a first deploy": (on_trial(stable=None, step=None, weight=0), 1, "● gates ── ○ stable"),
    "rolling back": (on_trial(phase=Phase.ROLLING_BACK, weight=0), 1, "✖ 10 %"),
    "switching": (on_trial(phase=Phase.SWITCHING, weight=100), 1, "✔ 100 % ── ● stable"),
    "promoted": (on_trial(phase=Phase.PROMOTED, candidate=None, weight=0), 1, "100 % of requests"),
    "rolled back": (on_trial(phase=Phase.ROLLED_BACK, weight=0), 1, "rolled back"),
    "a silent gate": (
        on_trial(
            gates=(
                gate(
                    value=None, measurement=Measurement.NO_EVIDENCE, message="accuracy: no series"
                ),
            )
        ),
        1,
        "◌ accuracy  NoEvidence: no series",
    ),
    "a failed gate": (
        on_trial(gates=(gate(value=0.3333, measurement=Measurement.FAIL),)),
        1,
        "✖ accuracy  0.3333 < 0.7",
    ),
    "a labelled gate": (
        on_trial(
            gates=(
                gate(
                    evidence=EvidenceKind.LABELLED,
                    measurement=Measurement.NO_EVIDENCE,
                    evidence_for=0.6,
                    labels_left=30,
                    eta=at(72),
                ),
            )
        ),
        1,
        "45 counted, evidence 60% for, 0% against, about 30 more, in 1 min",
    ),
}


@pytest.mark.parametrize(("status", "generation", "part"), SAID.values(), ids=SAID.keys())
def test_every_state_says_what_it_is(status: Status, generation: int, part: str) -> None:
    of = spec("models:/iris/2", analysis__gates=[{"metric": "accuracy", "min": 0.7}])
    assert part in printed(picture(snapshot(rollout(status, of, generation), 12), 160, PRETTY), 160)


def test_a_first_deploy_has_no_stable_to_draw() -> None:
    drawn = printed(
        picture(snapshot(rollout(on_trial(stable=None, step=None, weight=0)), 3), 80, PRETTY), 80
    )
    assert "the host does not answer yet" in drawn
    assert "% stable" not in drawn
