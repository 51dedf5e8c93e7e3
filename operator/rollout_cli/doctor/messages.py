"""Destinations of messages, by what the operator counts."""

import re
from collections.abc import Iterator

from rollout_cli.doctor.check_result import CheckResult, bad, good

SLOW = 60.0
"""Seconds that a message may wait until its destination is called failing."""
_SAMPLE = re.compile(
    r'^modelrollout_messages_(?P<what>pending|oldest_seconds|total)\{destination="(?P<name>[^"]+)"'
    r'(?:,outcome="(?P<outcome>[a-z_]+)")?\} (?P<value>\S+)$',
    re.MULTILINE,
)


def check_messages(metrics: str, place: str) -> Iterator[CheckResult]:
    """Each destination that the operator at `namespace/name` knows; none where it has none.

    metrics: what it exports, as text.
    """
    found: dict[str, dict[str, float]] = {}
    for sample in _SAMPLE.finditer(metrics):
        of = found.setdefault(sample["name"], {})
        of[sample["outcome"] or sample["what"]] = float(sample["value"])
    namespace, _, deployment = place.partition("/")
    for name, of in sorted(found.items()):
        title, age = f"messages to {name}", of.get("oldest_seconds", 0.0)
        todo = (
            f"kubectl -n {namespace} exec deployment/{deployment} -- python -m rollout_operator"
            f" test-messages {name}"
        )
        if age > SLOW:
            waiting = f"{of.get('pending', 0):.0f} wait, the oldest for {age:.0f} s"
            yield bad(title, f"they are not delivered: {waiting}", todo)
        elif lost := of.get("given_up", 0.0):
            yield bad(title, f"{lost:.0f} were given up since the operator began", todo)
        elif lost := of.get("dropped", 0.0):
            why = "more than 20 of one rollout were owed"
            yield bad(title, f"{lost:.0f} were dropped since the operator began: {why}", todo)
        else:
            yield good(title, f"{of.get('delivered', 0):.0f} delivered since the operator began")
