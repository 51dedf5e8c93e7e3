"""Fixtures of the end-to-end tests that count here, too."""

from tests.e2e.conftest import ingress_url, kube

__all__ = ["ingress_url", "kube"]
