"""From MODEL_URI to a model that answers."""
