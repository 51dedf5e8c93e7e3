"""The rollout operator: observe, decide, act for every ModelRollout."""
