"""The least environment that an operator starts with."""


def operator_env(**settings: str) -> dict[str, str]:
    """With these settings beside it."""
    return {
        "INFERENCE_IMAGE": "i",
        "PROMETHEUS_URL": "http://p:9090",
        "MLFLOW_TRACKING_URI": "http://m:5000",
        **settings,
    }
