"""What must hold of what is watched after its promotion, and of ways back from it."""

from rollout_operator.domain.api.gate_results import Measurement
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason, Verdict
from rollout_operator.domain.last_spec import recalled
from rollout_operator.domain.machine.transitions import COMMITTED
from tests.unit.operator.domain.machine_world import SPECS, State, numbers

SILENT = ("none", "down", "NaN", "above 1", "two series", "stale", "future", "not asked")
"""What metrics say where they allow no statement."""


def metric_of(event: str) -> str:
    """What the metrics say at a look; "" for other events."""
    before, found, said = event.partition("metric ")
    return said.split(",")[0] if found and before.startswith("look") else ""


def wrongly_watched(before: State, event: str, after: State) -> str:
    """Which promise does not hold after a look; "" where all do."""
    return (
        _tried_again(before, after.status)
        or _former_gone(before, after)
        or _goes_back_wrongly(before, event, after.status)
        or _proof_dropped(before, event, after.status)
        or _waits_on(before, after.status)
        or _abort_holds(before, after.status)
        or _unwatched(before, after.status)
        or _returned_wrongly(before.status, after.status)
        or _stays(before, event, after.status)
    )


def _tried_again(before: State, new: Status) -> str:
    tried = new.candidate.revision if new.candidate is not None else ""
    begins = new.attempt > before.status.attempt and not new.returning
    known = any(r.revision == tried for r in before.status.rejected)
    if begins and known and not before.command.startswith("retry"):
        return "what was rejected is tried again, and nobody has told so"
    return ""


def _former_gone(before: State, after: State) -> str:
    new, there = after.status, numbers(after)
    if new.watch is None or new.returning or new.stable is None:
        return ""
    if new.watch.former not in there:
        return "the former pods are gone while their successor is watched"
    stable = new.stable.revision
    asked = min(of[stable][0] for of in (numbers(before), there) if stable in of)
    few = there[new.watch.former][0] < asked and not before.taken
    return "the former pods are too few for all requests" if few else ""


def _goes_back_wrongly(before: State, event: str, new: Status) -> str:
    back = new.returning and not before.status.returning
    if not back or new.candidate is None or new.stable is None:
        return ""
    known, to = numbers(before), new.candidate.revision
    ready = known[to][1] if to in before.ready and to in known else 0
    # By a spec that cannot be read there are as many as the last one asks for.
    last = recalled(before.status) if before.taken else None
    fixed = last is not None and last.autoscaling is None
    needed = last.replicas if last is not None and fixed else known[new.stable.revision][0]
    if ready < needed:
        return "requests go back to pods that are not there, or too few"
    failed = any(g.measurement is Measurement.FAIL for g in new.gates)
    if metric_of(event) in SILENT and before.command != "abort" and not _proved(before.status):
        return "it goes back, and nothing was measured"
    return "" if failed or before.command == "abort" else "it goes back, and nothing has failed"


def _proved(old: Status) -> bool:
    """Whether a failure was proved before, and its return waits for pods."""
    failed = any(g.measurement is Measurement.FAIL for g in old.gates)
    return failed and old.watch is not None and bool(old.watch.waits)


def _proof_dropped(before: State, event: str, new: Status) -> str:
    """What was proved waits for its pods, silent looks or not, until it has waited long enough."""
    old, wanted = before.status, SPECS[before.wanted]
    stable, watch = old.stable, old.watch
    if not _proved(old) or watch is None or stable is None or old.phase is not Phase.PROMOTED:
        return ""
    asked = (wanted.model_uri, wanted.resources) == (stable.requested, stable.resources)
    ends = watch.since + wanted.strategy.watch + wanted.strategy.progress_deadline
    still = metric_of(event) in {"bad", *SILENT} and asked and wanted.strategy.watch
    over = new.watch is None and not new.returning
    early = before.now < ends and not before.taken and before.command != "promote"
    return (
        "a proved failure is dropped before its pods could come" if still and early and over else ""
    )


def _waits_on(before: State, new: Status) -> str:
    """Pods are waited for no longer than was said, whether the spec can be read or not."""
    old = before.status
    wanted = recalled(old) if before.taken else SPECS[before.wanted]
    waited = old.phase is Phase.PROMOTED and old.watch is not None and old.watch.waits
    if not waited or wanted is None or old.watch is None:
        return ""
    late = before.now >= old.watch.since + wanted.strategy.watch + wanted.strategy.progress_deadline
    still = new.phase is Phase.PROMOTED and new.watch is not None and new.watch.waits
    return "pods are waited for longer than was said" if late and still else ""


def _abort_holds(before: State, new: Status) -> str:
    """An abort that waits for pods gives way to another version."""
    old, wanted = before.status, SPECS[before.wanted]
    if old.former is None or old.stable is None or old.phase is not Phase.PROMOTED:
        return ""
    other = "@" not in wanted.model_uri and wanted.model_uri != old.stable.requested
    held = new.phase is Phase.PROMOTED and new.stable == old.stable
    waits = before.command == "abort" and not (before.taken or wanted.paused)
    return "an abort that waits for pods holds another version" if waits and other and held else ""


def _unwatched(before: State, new: Status) -> str:
    """What is promoted is watched, unless it was stable before or a person has promoted it."""
    old = before.status
    ends = old.phase in COMMITTED and new.phase is Phase.PROMOTED and not old.returning
    asked = SPECS[before.wanted].strategy.watch and not before.taken and old.stable is not None
    spared = new.reason is Reason.RESTORED or "promote" in old.handled_commands
    missing = ends and asked and not spared and new.watch is None
    return "what is promoted is not watched" if missing else ""


def _returned_wrongly(old: Status, new: Status) -> str:
    if not old.returning or old.stable is None or new.phase is not Phase.ROLLED_BACK:
        return ""
    if all(r.revision != old.stable.revision for r in new.rejected):
        return "what failed in its watch is not remembered"
    told = bool(new.history) and new.history[0].verdict is Verdict.RETURNED
    return "" if told else "the way back is not told in history"


def _stays(before: State, event: str, new: Status) -> str:
    """A value that fails leads back, paused or not."""
    old, wanted = before.status, SPECS[before.wanted]
    watch, stable = old.watch, old.stable
    if watch is None or stable is None or old.phase is not Phase.PROMOTED:
        return ""
    ends = watch.since + wanted.strategy.watch
    undisturbed = not (before.taken or before.command)
    asked = (wanted.model_uri, wanted.resources) == (stable.requested, stable.resources)
    pods = numbers(before)
    wants = max(pods[stable.revision][0], wanted.replicas if wanted.autoscaling is None else 0)
    ready = watch.former in before.ready and pods.get(watch.former, (0, 0))[1] >= wants
    fails = metric_of(event) == "bad" and watch.since < before.now < ends and asked
    return (
        "what fails in its watch stays"
        if fails and undisturbed and ready and not (new.returning)
        else ""
    )
