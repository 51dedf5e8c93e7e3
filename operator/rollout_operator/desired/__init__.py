"""The objects that a rollout asks for, one file a kind."""
