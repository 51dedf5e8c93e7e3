"""The operator's settings."""

import pytest

from rollout_operator.settings import Settings, SettingsError

GOOD = {
    "INFERENCE_IMAGE": "i",
    "PROMETHEUS_URL": "http://p:9090/",
    "MLFLOW_TRACKING_URI": "http://m:5000",
}


def test_settings_from_the_environment() -> None:
    settings = Settings.from_environment({**GOOD, "WATCH_NAMESPACES": "a, b"})
    assert (settings.prometheus_url, settings.namespaces) == ("http://p:9090", ("a", "b"))
    assert settings.model_environment["MLFLOW_TRACKING_URI"] == "http://m:5000"


@pytest.mark.parametrize(
    ("env", "names"),
    [
        pytest.param({**GOOD, "INFERENCE_IMAGE": ""}, "INFERENCE_IMAGE", id="no image"),
        pytest.param({**GOOD, "METRICS_PORT": "x"}, "METRICS_PORT", id="a port that is none"),
        pytest.param({**GOOD, "LOG_LEVEL": "LOUD"}, "LOG_LEVEL", id="an unknown level"),
        pytest.param(
            {**GOOD, "MODEL_EGRESS": "none"},
            "MODEL_EGRESS: .*or the word any",
            id="rules that are none",
        ),
    ],
)
def test_wrong_settings_are_named(env: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        Settings.from_environment(env)
