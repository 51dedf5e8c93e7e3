"""How near a gate is to failing. Pure."""

from rollout_cli.view.formatting import gate_of
from rollout_operator.domain.api.gate_results import GateStatus, Measurement
from rollout_operator.domain.api.spec import Spec


def nearness(gate: GateStatus, spec: Spec | None) -> float:
    """From 0 (far) to 1 (fails).

    Of a Labelled gate, the evidence against the version as a share of what rolls it back; of any
    other, how much of the room between the best possible value and the threshold is used up: for
    an upper bound value / threshold, for accuracy (1 - value) / (1 - threshold). Without a value 0.
    """
    if gate.measurement is Measurement.FAIL:
        return 1.0
    if gate.evidence_against is not None:
        used = gate.evidence_against
    elif gate.value is None:
        return 0.0
    elif _at_least(gate, spec) and gate.threshold >= 1:
        # No share: how many times the bound it is.
        used = gate.threshold / max(gate.value, 1e-9)
    elif _at_least(gate, spec):
        used = (1 - gate.value) / max(1 - gate.threshold, 1e-9)
    else:
        used = gate.value / max(gate.threshold, 1e-9)
    return min(1.0, max(0.0, used))


def nearest(gates: tuple[GateStatus, ...], spec: Spec | None) -> GateStatus | None:
    """The gate that is nearest to failing: of equals, the one without an answer, then the first."""
    return max(
        gates,
        key=lambda gate: (nearness(gate, spec), gate.measurement is not Measurement.PASS),
        default=None,
    )


def _at_least(gate: GateStatus, spec: Spec | None) -> bool:
    asked = gate_of(spec, gate)
    return gate.metric == "accuracy" if asked is None else asked.min is not None
