"""Fixtures of the API tests that count here, too."""

from tests.api.conftest import api, kubelet, ns, rollout, world

__all__ = ["api", "kubelet", "ns", "rollout", "world"]
