"""A model as MLflow has it: what server and trainer both know of it."""
