"""Which messages follow from a status, and whose they are to send."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.route_status import Unrouted
from rollout_operator.domain.api.status import Attempt, Notification, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.machine.decide import decide
from rollout_operator.domain.message_text import Rollout, message
from rollout_operator.domain.messages import (
    MOST,
    SKEW,
    arisen,
    look_again,
    message_id,
    notifications,
)
from rollout_operator.domain.observed import Workload
from rollout_operator.domain.outbox import Destination, Outbox, destinations
from tests.support.builders import UID, at, observed, on_trial, shortage, spec

HOLD = timedelta(seconds=60)


def ended(attempt: int, verdict: Verdict) -> Attempt:
    return Attempt(
        attempt=attempt,
        uri=f"models:/iris/{attempt}",
        revision="abc",
        verdict=verdict,
        reason=Reason.GATE_FAILED,
        message="accuracy 0.61 is below 0.7.",
        started=at(-90),
        ended=at(0),
    )


def history(*verdicts: Verdict) -> tuple[Attempt, ...]:
    """Newest first, as status has it; attempts 1, 2, …"""
    return tuple(reversed([ended(n, verdict) for n, verdict in enumerate(verdicts, 1)]))


def destination(name: str = "team", *kinds: str) -> Destination:
    return Destination(name=name, folder="/secret", kinds=kinds)


def outbox(*recipients: Destination, **changes: Any) -> Outbox:
    given = recipients or (destination(),)
    names = frozenset(one.name for one in given)
    return replace(Outbox("me", names, given, HOLD), **changes)


PROMOTED, ROLLED_BACK = Verdict.PROMOTED, Verdict.ROLLED_BACK
TRIAL = on_trial()
HALTED = on_trial(halted=True)
APPROVAL = on_trial(reason=Reason.WAITING_FOR_APPROVAL)
STALLED = on_trial(phase=Phase.PROMOTED, shortage=shortage(stalled=True))
SHORT = on_trial(phase=Phase.PROMOTED, shortage=shortage(stalled=False))
UNROUTED = on_trial(
    phase=Phase.PROMOTED,
    unrouted=Unrouted(reason=Reason.ROUTE_NOT_ACCEPTED, message="No.", since=at(0), stalled=True),
)
NOTHING: list[tuple[int, str, str]] = []


@pytest.mark.parametrize(
    ("before", "after", "brings"),
    [
        pytest.param(
            on_trial(history=history(PROMOTED)),
            on_trial(phase=Phase.PROMOTED, history=history(PROMOTED, PROMOTED)),
            [(2, "Promoted", "")],
            id="an attempt ends well",
        ),
        pytest.param(
            on_trial(phase=Phase.ROLLING_BACK),
            on_trial(phase=Phase.ROLLED_BACK, history=history(PROMOTED, ROLLED_BACK)[:1]),
            [(2, "RolledBack", "")],
            id="an attempt ends badly, which is no stall besides",
        ),
        pytest.param(
            on_trial(history=history(PROMOTED)),
            on_trial(history=(ended(1, ROLLED_BACK), *history(PROMOTED))),
            [(1, "RolledBack", "")],
            id="an attempt that had ended has another verdict later",
        ),
        pytest.param(
            on_trial(history=history(PROMOTED)),
            on_trial(phase=Phase.PROMOTED, history=history(PROMOTED, Verdict.RETURNED)),
            [(2, "Returned", "")],
            id="what was promoted fails, and the version before answers again",
        ),
        pytest.param(
            on_trial(history=history(PROMOTED, ROLLED_BACK)),
            on_trial(history=history(PROMOTED, ROLLED_BACK)),
            NOTHING,
            id="the past of an operator that sends messages from now on",
        ),
        pytest.param(TRIAL, HALTED, [(2, "WaitingForDecision", "")], id="a verdict says Pause"),
        pytest.param(HALTED, HALTED, NOTHING, id="it goes on waiting"),
        pytest.param(TRIAL, APPROVAL, [(2, "WaitingForApproval", "")], id="approval is asked for"),
        pytest.param(
            HALTED,
            APPROVAL,
            [(2, "WaitingForApproval", "")],
            id="it is asked for after a Pause",
        ),
        pytest.param(
            HALTED,
            HALTED.model_copy(update={"attempt": 3}),
            [(3, "WaitingForDecision", "")],
            id="another attempt waits",
        ),
        pytest.param(
            SHORT, STALLED, [(2, "Stalled", "PodsNotReady")], id="pods are missing for too long"
        ),
        pytest.param(
            STALLED,
            STALLED.model_copy(update={"invalid": "spec.replicas: 0 is too few."}),
            [(2, "Stalled", "InvalidSpec")],
            id="and then its spec cannot be read",
        ),
        pytest.param(TRIAL, SHORT, NOTHING, id="pods are missing for a moment"),
        pytest.param(STALLED, STALLED, NOTHING, id="they are missing still"),
        pytest.param(
            TRIAL,
            UNROUTED,
            [(2, "Stalled", "RouteNotAccepted")],
            id="the route is not accepted for long",
        ),
        pytest.param(
            TRIAL,
            on_trial(invalid="spec.replicas: 0 is too few."),
            [(2, "Stalled", "InvalidSpec")],
            id="a spec that cannot be read",
        ),
        pytest.param(
            Status(),
            Status(phase=Phase.INVALID, reason=Reason.MODEL_VERSION_NOT_FOUND),
            [(0, "Stalled", "ModelVersionNotFound")],
            id="a version that is none",
        ),
    ],
)
def test_what_is_told_of_a_step(
    before: Status, after: Status, brings: list[tuple[int, str, str]]
) -> None:
    assert list(arisen(before, after)) == brings


def claimed(now: float, *of: Destination, **changes: Any) -> Notification:
    ((one,), _) = notifications(TRIAL, HALTED, outbox(*of, **changes), at(now))
    return one


def test_a_message_is_claimed_in_the_status_that_decides_it() -> None:
    trial = on_trial(history=history(PROMOTED))
    seen = observed(
        300,
        spec=spec("models:/iris/1"),
        status=trial,
        workloads={r.revision: Workload(2, 2) for r in (trial.stable, trial.candidate) if r},
        outbox=outbox(destination("team"), destination("audit", "Cancelled")),
    )
    status = trial
    for second in range(300, 400, 20):
        status = decide(replace(seen, status=status, now=at(second))).status
        if status.messages:
            break
    assert [(m.attempt, m.kind, m.to, m.holder) for m in status.messages] == [
        (2, "Cancelled", ("audit",), "me")
    ]
    assert status.history[0].verdict is Verdict.CANCELLED


def followed(one: Notification, now: float, **changes: Any) -> Notification:
    status = HALTED.model_copy(update={"messages": (one,)})
    ((after,), _) = notifications(status, status, outbox(**changes), at(now))
    return after


FIRST = claimed(0)
OTHERS = FIRST.model_copy(update={"holder": "another"})
LATE = 60 + SKEW.total_seconds()
SETTLED = frozenset({(2, "WaitingForDecision", "team")})
ASKED = frozenset({(2, "WaitingForDecision")})


@pytest.mark.parametrize(
    ("one", "now", "changes", "to", "holder", "until"),
    [
        pytest.param(FIRST, 1, {}, ("team",), "me", 60, id="ours, not sent yet"),
        pytest.param(FIRST, 99, {}, ("team",), "me", 60, id="ours, and no other took it"),
        pytest.param(FIRST, 9, {"settled": SETTLED}, (), "", None, id="delivered"),
        pytest.param(FIRST, 50, {"asks": ASKED}, ("team",), "me", 110, id="held longer"),
        pytest.param(FIRST, 400, {"asks": ASKED}, ("team",), "me", 800, id="and longer each time"),
        pytest.param(FIRST, 9999, {"asks": ASKED}, ("team",), "me", 10599, id="within bounds"),
        pytest.param(OTHERS, LATE - 1, {}, ("team",), "another", 60, id="another's for now"),
        pytest.param(OTHERS, LATE, {}, ("team",), "me", LATE + 65, id="another's, which has ended"),
        pytest.param(OTHERS, LATE, {"room": False}, ("team",), "another", 60, id="no room for it"),
        pytest.param(
            OTHERS, 9, {"asks": ASKED}, ("team",), "another", 60, id="lost to another meanwhile"
        ),
        pytest.param(
            OTHERS, 9, {"settled": SETTLED}, (), "", None, id="delivered, and lost meanwhile"
        ),
        pytest.param(
            OTHERS, 9, {"names": frozenset()}, ("team",), "another", 60, id="of another's settings"
        ),
        pytest.param(
            FIRST, 9, {"names": frozenset()}, (), "", None, id="a destination that is no more"
        ),
    ],
)
def test_a_claim_as_it_goes_on(
    one: Notification,
    now: float,
    changes: dict[str, Any],
    to: tuple[str, ...],
    holder: str,
    until: float | None,
) -> None:
    after = followed(one, now, **changes)
    assert (after.to, after.holder) == (to, holder)
    assert after.until == (None if until is None else at(until))


def test_what_was_told_of_an_attempt_is_not_told_again() -> None:
    told = FIRST.model_copy(update={"to": (), "holder": "", "until": None})
    again = HALTED.model_copy(update={"messages": (told,)})
    assert notifications(TRIAL, again, outbox(), at(99)) == ((told,), ())


def test_of_former_attempts_only_what_is_owed_is_kept_and_not_without_end() -> None:
    done = FIRST.model_copy(update={"to": (), "attempt": 1})
    owed = [FIRST.model_copy(update={"attempt": n}) for n in range(2, 40)]
    status = HALTED.model_copy(update={"attempt": 40, "messages": (done, *owed)})
    kept, dropped = notifications(status, status, outbox(), at(1))
    assert [one.attempt for one in kept] == list(range(40 - MOST, 40))
    assert [one.attempt for one in dropped] == list(range(2, 40 - MOST))
    looked = decide(observed(1, spec=spec("models:/iris/2"), status=status, outbox=outbox()))
    assert looked.dropped == dropped


def test_what_is_owed_is_not_dropped_for_what_has_been_told() -> None:
    told = [
        FIRST.model_copy(update={"attempt": 40, "kind": "Stalled", "about": f"{n}", "to": ()})
        for n in range(5)
    ]
    owed = [FIRST.model_copy(update={"attempt": n}) for n in range(2, 20)]
    status = HALTED.model_copy(update={"attempt": 40, "messages": (*owed, *told)})
    kept, dropped = notifications(status, status, outbox(), at(1))
    assert [one.attempt for one in kept if one.to] == list(range(2, 20))
    assert [one.about for one in kept if not one.to] == ["3", "4"]
    assert dropped == ()


def test_each_reason_to_stall_is_told_once_in_an_attempt() -> None:
    wrong = {"invalid": "spec.replicas: 0 is too few."}
    story = (SHORT, STALLED, STALLED.model_copy(update=wrong), STALLED, SHORT, STALLED)
    told: tuple[Notification, ...] = ()
    for before, after in itertools.pairwise(story):
        told, _ = notifications(
            before, after.model_copy(update={"messages": told}), outbox(), at(9)
        )
    assert [one.about for one in told] == ["PodsNotReady", "InvalidSpec"]
    assert len({message_id(UID, one.place) for one in told}) == 2


def test_what_stalled_for_another_reason_is_not_told_by_the_one_of_now() -> None:
    wrong = STALLED.model_copy(update={"invalid": "spec.replicas: 0 is too few."})
    wrong = wrong.model_copy(update={"conditions": conditions(wrong, at(9))})
    of = Rollout("models", "iris", UID)
    told = {
        about: message(
            of, wrong, Notification(kind="Stalled", about=about, attempt=2, at=at(9)), ""
        )
        for about in ("PodsNotReady", "InvalidSpec")
    }
    assert {about: one.reason for about, one in told.items()} == {about: about for about in told}
    assert (told["PodsNotReady"].said, told["InvalidSpec"].said) == ("", wrong.invalid)


def test_without_destinations_nothing_is_claimed_and_nothing_forgotten() -> None:
    assert notifications(TRIAL, HALTED, None, at(0)) == ((), ())
    status = HALTED.model_copy(update={"messages": (OTHERS,)})
    assert notifications(status, status, None, at(999)) == ((OTHERS,), ())
    assert look_again(status, None, at(0)) is None


OWNED = frozenset({(2, "WaitingForDecision")})


@pytest.mark.parametrize(
    ("one", "changes", "now", "when"),
    [
        pytest.param(OTHERS, {}, 0, LATE, id="another's claim runs out"),
        pytest.param(OTHERS, {"owned": OWNED}, 0, LATE, id="which was ours before"),
        pytest.param(OTHERS, {"room": False}, LATE, LATE + 30, id="there is no memory then"),
        pytest.param(FIRST, {"owned": OWNED}, 0, None, id="ours wakes us by itself"),
        pytest.param(FIRST, {}, 0, LATE, id="ours, for which there was no memory"),
        pytest.param(FIRST, {"room": False}, LATE, LATE + 30, id="nor is there later"),
    ],
)
def test_when_it_is_looked_at_again(
    one: Notification, changes: dict[str, Any], now: float, when: float | None
) -> None:
    status = HALTED.model_copy(update={"messages": (one,)})
    expected = None if when is None else at(when)
    assert look_again(status, outbox(**changes), at(now)) == expected


def test_an_id_is_of_rollout_attempt_and_kind() -> None:
    ids = {message_id(u, (n, k)) for u in ("a", UID) for n in (1, 11) for k in ("Promoted", "1")}
    assert len(ids) == 8
    assert message_id(UID, (1, "Promoted")) == message_id(UID, (1, "Promoted"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("{", "MESSAGES is no JSON list", id="no JSON"),
        pytest.param('[{"name": "a"}]', "0.folder", id="no folder"),
        pytest.param('[{"name": "A b", "folder": "/f"}]', "0.name", id="no name"),
        pytest.param(
            '[{"name": "a", "folder": "/f", "kinds": ["Good"]}]', "Good is none", id="no kind"
        ),
        pytest.param(
            '[{"name": "a", "folder": "/f"}, {"name": "a", "folder": "/g"}]', "a twice", id="twice"
        ),
        pytest.param(
            '[{"name": "a", "folder": "/f", "url": "slack://token"}]', "0.url", id="a URL in it"
        ),
    ],
)
def test_settings_that_are_none(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as failure:
        destinations(text)
    assert "token" not in str(failure.value)


@pytest.mark.parametrize(
    ("namespace", "labels", "told"),
    [
        pytest.param("ml-a", {"team": "ml"}, True, id="by name and label"),
        pytest.param("ml-a", {"team": "web"}, False, id="another label"),
        pytest.param("ml-a", {}, False, id="no label"),
        pytest.param("web", {"team": "ml"}, False, id="another name"),
    ],
)
def test_whom_a_destination_is_for(namespace: str, labels: dict[str, str], told: bool) -> None:
    (one,) = destinations(
        '[{"name": "a", "folder": "/f", "namespaces": ["ml-*"],'
        ' "namespaceSelector": {"matchLabels": {"team": "ml"}}}]'
    )
    assert one.is_of(namespace, labels) is told
