"""The operator beside Argo Rollouts and Flagger, on one API server: `make bench-peers`."""
