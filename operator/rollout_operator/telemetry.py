"""The operator's own metrics."""

from prometheus_client import Counter, Gauge, Histogram

API_REQUESTS = Counter("modelrollout_api_requests", "Requests to the API server", ["verb", "resource", "code"])
PROMETHEUS_QUERIES = Counter("modelrollout_prometheus_queries", "Queries to Prometheus", ["metric", "outcome"])
REGISTRY_REQUESTS = Counter("modelrollout_registry_requests", "Requests to the model registry", ["outcome"])
RECONCILE_SECONDS = Histogram("modelrollout_reconcile_seconds", "Time of one observe, decide, act")
RECONCILE_ERRORS = Counter("modelrollout_reconcile_errors", "Reconciles that failed and are repeated", ["kind"])
TRANSITIONS = Counter("modelrollout_transitions", "Phases entered", ["phase", "reason"])
VERDICTS = Counter("modelrollout_verdicts", "Attempts ended", ["verdict", "reason"])
PHASE = Gauge("modelrollout_phase", "1 for the phase that a rollout is in", ["namespace", "name", "phase"])
WEIGHT = Gauge("modelrollout_weight", "Share of requests that goes to the candidate, in percent", ["namespace", "name"])
GATE_VALUE = Gauge("modelrollout_gate_value", "Last measured value of a gate", ["namespace", "name", "metric"])
QUEUE_DEPTH = Gauge("modelrollout_queue_depth", "Rollouts waiting for their next look")
MISSED_EVENTS = Counter("modelrollout_missed_events", "Changes that the watches had missed and a comparison with the API server found")
