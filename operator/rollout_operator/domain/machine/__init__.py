"""The state machine: what a rollout does next, and why."""
