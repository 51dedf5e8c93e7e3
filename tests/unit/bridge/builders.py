"""Webhooks as MLflow makes them."""

import json
from typing import Any

from rollout_bridge.webhook import DELIVERY_ID, SIGNATURE, TIMESTAMP, sign

SECRET = "a-secret-of-the-webhook-that-nobody-may-see"
NOW = 1_764_000_000


def alias_set(**changes: Any) -> dict[str, Any]:
    """The body of model_version_alias.created; `changes` go into its data where they are known
    there.
    """
    body: dict[str, Any] = {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2025-11-24T16:00:00.250000+00:00",
        "data": {"name": "iris", "alias": "production", "version": "2"},
    }
    for key, value in changes.items():
        (body["data"] if key in body["data"] else body)[key] = value
    return body


def signed(
    body: bytes, secret: str = SECRET, delivery: str = "d-1", at: int = NOW
) -> dict[str, str]:
    """The headers of a delivery."""
    return {
        DELIVERY_ID: delivery,
        TIMESTAMP: str(at),
        SIGNATURE: sign(secret, delivery, at, body),
        "Content-Type": "application/json",
    }


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


TWO = """
mappings:
- model: iris
  alias: production
  rollout:
    namespace: models
    name: iris
    template:
      traffic: {host: iris.example.com}
      analysis: {gates: [{metric: accuracy, min: 0.8}]}
- model: iris
  alias: production
  dispatch: {repository: acme/iris, eventType: deploy, payload: {environment: eu}}
- {model: churn, alias: champion, workspace: team-a, rollout: {namespace: models, name: churn}}
"""
"""A file of mappings for two models."""
