"""The phases, and which of them follow one another for which reasons: the machine as data."""

from rollout_operator.domain.api.status import Phase

ON_TRIAL = frozenset({Phase.STARTING, Phase.TRIAL, Phase.PROMOTING, Phase.SHIFTING})
"""Phases of an attempt that can still be taken back without touching the stable Service."""
COMMITTED = frozenset({Phase.SWITCHING, Phase.SETTLING})
"""Phases in which the stable Service already selects the candidate."""
CANDIDATE_RUNS = ON_TRIAL | COMMITTED | {Phase.ROLLING_BACK}
"""Phases in which the candidate has pods."""
AT_REST = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.INVALID})
