"""The phases, and which of them follow one another for which reasons: the machine as data."""

import warnings
from collections.abc import Mapping

from rollout_operator.domain.api.words import Phase, Reason

ON_TRIAL = frozenset({Phase.STARTING, Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING})
"""Phases of an attempt that can still be taken back without touching the stable Service."""
COMMITTED = frozenset({Phase.SWITCHING, Phase.SETTLING})
"""Phases in which the stable Service already selects the candidate."""
CANDIDATE_RUNS = ON_TRIAL | COMMITTED | {Phase.ROLLING_BACK}
"""Phases in which the candidate has pods."""
AT_REST = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.INVALID})

WITHOUT_PROOF = frozenset({Reason.NO_EVIDENCE, Reason.INCONCLUSIVE})
"""Reasons that say nothing against the model: one that was rolled back for them may be tried
again.
"""
PROMOTION = WITHOUT_PROOF | {Reason.GATES_PASSED, Reason.PROMOTED_BY_COMMAND, Reason.RESTORED}
"""Why a candidate becomes stable; without evidence only where onNoEvidence is Promote."""
ROLLBACK = WITHOUT_PROOF | {
    Reason.GATE_FAILED,
    Reason.PROGRESS_DEADLINE_EXCEEDED,
    Reason.UNSTABLE,
    Reason.ABORTED,
    Reason.MODEL_CANNOT_SERVE,
}
"""Why a candidate is rolled back."""
RETURN = frozenset({Reason.GATE_FAILED, Reason.ABORTED})
"""Why what is watched after its promotion is taken back."""
_WHILE_WAITING = frozenset(
    {Reason.PROGRESS_DEADLINE_EXCEEDED, Reason.ABORTED, Reason.RETURNED_TO_STABLE}
)
_UNRESOLVED = frozenset({Reason.RESOLVING, Reason.REGISTRY_UNREACHABLE, Reason.INSPECTING})
_NOT_TO_BE_ROLLED_OUT = frozenset(
    {
        Reason.MODEL_VERSION_NOT_FOUND,
        Reason.MODEL_VERSION_NOT_READY,
        Reason.DIGEST_MISSING,
        Reason.SIGNATURE_INCOMPATIBLE,
        Reason.PROMOTION_NOT_PROVED,
    }
)
Edges = Mapping[tuple[Phase, Phase], frozenset[Reason]]


WAY: Edges = {
    (Phase.PENDING, Phase.INVALID): frozenset({Reason.MODEL_CANNOT_SERVE}),
    (Phase.INVALID, Phase.INVALID): frozenset({Reason.MODEL_CANNOT_SERVE}),
    (Phase.STARTING, Phase.STARTING): frozenset({Reason.WAITING_FOR_PODS, Reason.FROZEN}),
    (Phase.STARTING, Phase.TRIAL): frozenset({Reason.MEASURING}),
    (Phase.STARTING, Phase.ROLLING_BACK): _WHILE_WAITING | {Reason.MODEL_CANNOT_SERVE},
    (Phase.TRIAL, Phase.TRIAL): WITHOUT_PROOF
    | {
        Reason.MEASURING,
        Reason.WAITING_FOR_EVIDENCE,
        Reason.WAITING_FOR_APPROVAL,
        Reason.FROZEN,
        Reason.WAITING_FOR_PODS,
        Reason.GATE_FAILED,
    },
    (Phase.TRIAL, Phase.STARTING): frozenset({Reason.WAITING_FOR_PODS}),
    (Phase.TRIAL, Phase.PROMOTING): PROMOTION - {Reason.RESTORED},
    (Phase.TRIAL, Phase.SHIFTING): PROMOTION - {Reason.RESTORED},
    (Phase.TRIAL, Phase.SWITCHING): PROMOTION - {Reason.RESTORED},
    (Phase.TRIAL, Phase.ROLLING_BACK): ROLLBACK - {Reason.MODEL_CANNOT_SERVE}
    | {Reason.RETURNED_TO_STABLE},
    (Phase.PROMOTING, Phase.SHIFTING): PROMOTION,
    (Phase.PROMOTING, Phase.SWITCHING): PROMOTION - {Reason.RESTORED},
    (Phase.PROMOTING, Phase.ROLLING_BACK): _WHILE_WAITING,
    (Phase.PROMOTED, Phase.SHIFTING): RETURN,
    (Phase.PROMOTED, Phase.PROMOTED): frozenset({Reason.PROGRESS_DEADLINE_EXCEEDED}),
    (Phase.SHIFTING, Phase.SWITCHING): PROMOTION | RETURN,
    (Phase.SHIFTING, Phase.PROMOTED): frozenset(
        {Reason.PROGRESS_DEADLINE_EXCEEDED, Reason.UNSTABLE}
    ),
    (Phase.SHIFTING, Phase.ROLLING_BACK): _WHILE_WAITING | {Reason.UNSTABLE},
    (Phase.SWITCHING, Phase.SETTLING): PROMOTION | RETURN,
    (Phase.SWITCHING, Phase.PROMOTED): PROMOTION | {Reason.PROGRESS_DEADLINE_EXCEEDED},
    (Phase.SWITCHING, Phase.ROLLED_BACK): RETURN,
    (Phase.SWITCHING, Phase.ROLLING_BACK): frozenset({Reason.PROGRESS_DEADLINE_EXCEEDED}),
    (Phase.SETTLING, Phase.PROMOTED): PROMOTION,
    (Phase.SETTLING, Phase.ROLLED_BACK): RETURN,
    (Phase.ROLLING_BACK, Phase.ROLLED_BACK): ROLLBACK,
    (Phase.ROLLING_BACK, Phase.PROMOTED): frozenset({Reason.RETURNED_TO_STABLE}),
    (Phase.ROLLED_BACK, Phase.PROMOTED): frozenset({Reason.RETURNED_TO_STABLE}),
}
"""The way of an attempt, as long as the spec asks for it."""

OPEN = frozenset(Phase) - COMMITTED
"""Phases in which the spec is followed when it asks for something else."""
BEGINNING: Mapping[Phase, frozenset[Reason]] = {
    Phase.PENDING: _UNRESOLVED,
    Phase.INVALID: _NOT_TO_BE_ROLLED_OUT,
    Phase.PROMOTED: frozenset({Reason.ALREADY_STABLE}),
    Phase.ROLLED_BACK: frozenset({Reason.REJECTED_BEFORE}),
    Phase.PROMOTING: frozenset({Reason.RESTORED}),
    Phase.STARTING: frozenset({Reason.WAITING_FOR_PODS}),
}
"""What follows when a model is asked for, from whatever phase it is asked in."""
_ASKED: Edges = {(before, after): why for before in OPEN for after, why in BEGINNING.items()}

EDGES: Edges = {
    edge: WAY.get(edge, frozenset()) | _ASKED.get(edge, frozenset()) for edge in (*WAY, *_ASKED)
}
"""Every transition that there is: from which phase to which, for which reasons. Where both are one,
the reasons that the phase itself gives, or that it begins anew for.
"""


def check_transition(before: Phase, after: Phase, reason: Reason) -> None:
    """Warn of a transition that EDGES does not have.

    Tests take the warning for an error. In production the transition is made all the same: to hold
    a rollback for want of a row would be worse.
    """
    if reason not in EDGES.get((before, after), ()):
        warnings.warn(f"{before} -> {after} ({reason}) is no transition of EDGES", stacklevel=3)
