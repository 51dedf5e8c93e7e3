"""How a wait ends."""

import pytest

from rollout_cli.api.wait_result import Awaited, follow, wait_result
from rollout_cli.exit_codes import Exit
from rollout_operator.domain.api.conditions import conditions
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.status import Attempt, Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from tests.support.builders import at, on_trial, revision, shortage, spec, unrouted
from tests.unit.cli.builders import rollout

URI = "models:/iris/2"


def ended(attempt: int, verdict: Verdict, uri: str = URI) -> Attempt:
    return Attempt(
        attempt=attempt,
        uri=uri,
        revision="r",
        verdict=verdict,
        reason="Why",
        message="Said.",
        started=at(0),
        ended=at(9),
    )


PROMOTED = on_trial(
    phase=Phase.PROMOTED, stable=revision(2), candidate=None, history=(ended(2, Verdict.PROMOTED),)
)
ROLLED_BACK = on_trial(
    phase=Phase.ROLLED_BACK, reason=Reason.GATE_FAILED, history=(ended(2, Verdict.ROLLED_BACK),)
)
NEXT = on_trial(attempt=3, candidate=revision(3))


def lacking(now: float = 0, **what: object) -> Status:
    """Promoted, and something lacks since the start of the story; conditions by the operator
    itself, at `now`.
    """
    status = PROMOTED.model_copy(update={"observed_generation": 1, **what})
    return status.model_copy(update={"conditions": conditions(status, at(now))})


REFUSED = "The API server refused Ingress iris: denied."
CASES: dict[str, tuple[Status, dict[str, object], Awaited, Exit | None]] = {
    "not seen yet": (Status(), {}, Awaited(URI), None),
    "a spec that is not seen yet does not count": (PROMOTED, {"generation": 2}, Awaited(URI), None),
    "on trial": (on_trial(), {}, Awaited(URI, 2), None),
    "being promoted": (on_trial(phase=Phase.SETTLING), {}, Awaited(URI, 2), None),
    "being rolled back": (on_trial(phase=Phase.ROLLING_BACK), {}, Awaited(URI, 2), None),
    "paused": (on_trial(paused_since=at(1)), {}, Awaited(URI, 2), None),
    "promoted": (PROMOTED, {}, Awaited(URI, 2), Exit.PROMOTED),
    "returned after its promotion, and another is tried": (
        on_trial(attempt=4, history=(ended(3, Verdict.RETURNED), ended(2, Verdict.PROMOTED))),
        {},
        Awaited(URI, 3),
        Exit.ROLLED_BACK,
    ),
    "promoted, with what a status says at rest": (lacking(), {}, Awaited(URI, 2), Exit.PROMOTED),
    "promoted, and pods lack": (lacking(shortage=shortage(False)), {}, Awaited(URI, 2), None),
    "promoted, and pods lack for too long": (
        lacking(shortage=shortage(True)),
        {},
        Awaited(URI, 2),
        Exit.ROLLED_BACK,
    ),
    "promoted, and its route is not accepted": (
        lacking(unrouted=unrouted(False)),
        {},
        Awaited(URI, 2),
        None,
    ),
    "promoted, and its route is not accepted for too long": (
        lacking(unrouted=unrouted(True)),
        {},
        Awaited(URI, 2),
        Exit.ROLLED_BACK,
    ),
    "promoted, and an object is refused": (
        lacking(api_rejection=REFUSED),
        {},
        Awaited(URI, 2),
        Exit.ROLLED_BACK,
    ),
    "promoted, and a spec that cannot be read": (
        lacking(invalid="spec.replicas: no"),
        {},
        Awaited(URI, 2),
        Exit.ROLLED_BACK,
    ),
    "promoted long ago": (PROMOTED, {}, Awaited(URI), Exit.PROMOTED),
    "rolled back": (ROLLED_BACK, {}, Awaited(URI, 2), Exit.ROLLED_BACK),
    "rolled back, retry on its way": (
        ROLLED_BACK,
        {"annotations": {f"{GROUP}/retry": "2"}},
        Awaited(URI),
        None,
    ),
    "rolled back, an old retry": (
        ROLLED_BACK,
        {"annotations": {f"{GROUP}/retry": "1"}},
        Awaited(URI),
        Exit.ROLLED_BACK,
    ),
    "halted": (on_trial(halted=True), {}, Awaited(URI, 2), Exit.ROLLED_BACK),
    "no such version": (
        on_trial(phase=Phase.INVALID, reason=Reason.MODEL_VERSION_NOT_FOUND),
        {},
        Awaited(URI),
        Exit.ROLLED_BACK,
    ),
    "a spec that cannot be read": (
        on_trial(invalid="spec.replicas: no"),
        {},
        Awaited(URI, 2),
        Exit.ROLLED_BACK,
    ),
    "another model is asked for": (on_trial(), {}, Awaited("models:/iris/1", 1), Exit.SUPERSEDED),
    "another attempt of the same spec superseded it": (
        on_trial(attempt=3, history=(ended(2, Verdict.SUPERSEDED),)),
        {},
        Awaited(URI, 2),
        Exit.SUPERSEDED,
    ),
    "cancelled": (
        on_trial(attempt=3, history=(ended(2, Verdict.CANCELLED),)),
        {},
        Awaited(URI, 2),
        Exit.SUPERSEDED,
    ),
    "promoted between two looks, then another": (
        on_trial(attempt=3, history=(ended(2, Verdict.PROMOTED),)),
        {},
        Awaited("models:/iris/7", 2),
        Exit.PROMOTED,
    ),
    "rolled back between two looks, then tried again": (
        on_trial(attempt=3, history=(ended(2, Verdict.ROLLED_BACK),)),
        {},
        Awaited(URI, 2),
        Exit.ROLLED_BACK,
    ),
}


@pytest.mark.parametrize(
    ("status", "about", "awaited", "expected"), CASES.values(), ids=CASES.keys()
)
def test_outcome(
    status: Status, about: dict[str, object], awaited: Awaited, expected: Exit | None
) -> None:
    found = wait_result(awaited, rollout(status, **about))  # type: ignore[arg-type]
    assert (found.exit if found else None) == expected


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("rolled back", "RolledBack"),
        ("halted", "Halted"),
        ("no such version", "Invalid"),
        ("a spec that cannot be read", "Invalid"),
    ],
)
def test_rolled_back_is_said_only_of_what_was(case: str, word: str) -> None:
    status, about, awaited, _ = CASES[case]
    found = wait_result(awaited, rollout(status, **about))  # type: ignore[arg-type]
    assert found is not None
    assert found.word == word


STALLED = {
    "promoted, and pods lack for too long": (
        Reason.PODS_NOT_READY,
        "1 of 3 pods is Ready. exceeded quota: pods",
    ),
    "promoted, and its route is not accepted for too long": (
        Reason.ROUTE_NOT_ACCEPTED,
        "no such Gateway",
    ),
    "promoted, and an object is refused": (Reason.OBJECT_REFUSED, REFUSED),
}


@pytest.mark.parametrize(
    ("case", "reason", "sentence"), [(c, *said) for c, said in STALLED.items()], ids=STALLED.keys()
)
def test_promoted_and_stalled_is_said_with_what_lacks(
    case: str, reason: Reason, sentence: str
) -> None:
    status, about, awaited, _ = CASES[case]
    found = wait_result(awaited, rollout(status, **about))  # type: ignore[arg-type]
    assert found is not None
    assert (found.word, found.reason, found.message.startswith("Promoted, but not Ready: ")) == (
        "Stalled",
        reason,
        True,
    )
    assert sentence in found.message


FOLLOWED = {
    "an attempt at it": (on_trial(), Awaited(URI), 2),
    "an attempt known already": (NEXT, Awaited(URI, 2), 2),
    "not resolved yet": (on_trial(phase=Phase.PENDING), Awaited(URI), 0),
    "still about the model before": (
        on_trial(candidate=None, phase=Phase.PROMOTED),
        Awaited(URI),
        0,
    ),
}


@pytest.mark.parametrize(("status", "awaited", "attempt"), FOLLOWED.values(), ids=FOLLOWED.keys())
def test_which_attempt_is_followed(status: Status, awaited: Awaited, attempt: int) -> None:
    assert follow(awaited, rollout(status, spec(URI))).attempt == attempt
