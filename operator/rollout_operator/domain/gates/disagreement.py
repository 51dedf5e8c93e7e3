"""The gate disagreement: how often the candidate answers otherwise than stable, or not at all, to
copies of the same requests. Stable's pods make the copies and count what comes back.

Each copy is one sample, so the test is that of a share. A copy that never reached a pod, or that
was dropped under load, says nothing of the candidate and counts for nothing.
"""

from rollout_operator.domain.api.analysis import Gate
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateStatus, Measurement
from rollout_operator.domain.gates.gate_status import NOUNS, Trial, gate_status
from rollout_operator.domain.gates.label_counters import (
    counts,
    find,
    fresh_evidence,
    grown,
    in_attempt,
)
from rollout_operator.domain.gates.labelled_gate import judged
from rollout_operator.domain.gates.samples import LONGEST_WINDOW, SHADOW, NoEvidence, fresh
from rollout_operator.domain.observed import Answer, MetricsUnreachable, Series

NO_COPIES = (
    "stable's pods count no copies yet; where that lasts, their model server is one that makes"
    " none: promote a version with this operator's image first, or take the gate out"
)
UNREACHED = (
    "no copy has reached a pod of the candidate: let the rollout's pods connect to one another's"
    " port 8080 (NetworkPolicies, the mesh)"
)
DROPPED = (
    "all copies were dropped: stable's pods have no CPU to spare, or requests are larger than 64"
    " KiB with their answers"
)


def measure_disagreement(
    gate: Gate,
    baseline: Answer | None,
    trial: Trial,
    known: tuple[EvidenceStatus, ...],
    *,
    copied: bool,
    trouble: str = "",
) -> tuple[GateStatus, EvidenceStatus | None]:
    """One measurement, and the counts to go on with; None: nothing counted.

    baseline: stable's series. copied: whether this step makes copies; where it makes none, what
    earlier steps counted stands. trouble: why stable's pods could not be told to, "" where they
    could.
    """
    noun, evidence = NOUNS[gate.metric], find(known, gate, trial.candidate, trial.stable)

    def silent(why: Measurement, said: str) -> GateStatus:
        shown = {} if evidence is None else {"samples": int(evidence.total)}
        return gate_status(gate, trial, why, f"{noun}: {said}"[:500], **shown)

    if not copied:
        if evidence is None:
            said = "this step makes no copies, and none were counted before"
            return silent(Measurement.NO_EVIDENCE, said), None
        return judged(gate, trial, evidence, []), evidence
    if baseline is None:
        return silent(Measurement.NO_EVIDENCE, "not measured yet"), evidence
    if isinstance(baseline, MetricsUnreachable):
        return silent(Measurement.UNREACHABLE, baseline.message), evidence
    try:
        copies = _of_copies(baseline, trial)
        own = counts(gate, copies)
    except NoEvidence as why:
        return silent(Measurement.NO_EVIDENCE, trouble or str(why)), evidence
    evidence = evidence or fresh_evidence(gate, trial.candidate, trial.stable, trial.now)
    evidence = grown(in_attempt(evidence, trial.candidate), gate, own, (), trial.now)
    if not evidence.total and (lost := _uncounted(copies)):
        return silent(Measurement.NO_EVIDENCE, lost), evidence
    return judged(gate, trial, evidence, []), evidence


def _uncounted(copies: list[Series]) -> str:
    """Why no copy counts, where some were made; without figures, which change from look to look."""
    made = {s.outcome for s in copies if s.value > 0}
    if "unreached" in made:
        return UNREACHED
    return DROPPED if "dropped" in made else ""


def _of_copies(baseline: tuple[Series, ...], trial: Trial) -> list[Series]:
    """What stable's pods count of copies to this candidate. Raises NoEvidence."""
    since = max(trial.candidate.ready_at or trial.since, trial.now - LONGEST_WINDOW)
    found = fresh(baseline, since, trial.now)
    ours = [s for s in found if s.name == SHADOW and s.candidate == trial.candidate.revision]
    if not ours:
        raise NoEvidence(NO_COPIES)
    return ours
