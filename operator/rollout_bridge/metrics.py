"""What the bridge tells about itself."""

from prometheus_client import Counter, Gauge, Histogram

WEBHOOKS = Counter(
    "modelrollout_bridge_webhooks_total", "Webhooks answered, by what became of them.", ["outcome"]
)
SECONDS = Histogram(
    "modelrollout_bridge_webhook_seconds", "From the first byte of a webhook to its answer."
)
LAST_APPLIED = Gauge(
    "modelrollout_bridge_last_request_timestamp_seconds",
    "Unix time of the last webhook that was carried out.",
)
