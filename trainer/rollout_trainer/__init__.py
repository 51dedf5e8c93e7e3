"""Trains the Iris model, evaluates it, and registers it in MLflow so that it can be rolled out."""
