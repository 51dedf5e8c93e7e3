"""The operator's settings."""

import pytest

from rollout_operator.settings import Settings, SettingsError

GOOD = {
    "INFERENCE_IMAGE": "i",
    "PROMETHEUS_URL": "http://p:9090/",
    "MLFLOW_TRACKING_URI": "http://m:5000",
}

SELECTING = (
    '[{"name": "team", "folder": "/f", "namespaceSelector": {"matchLabels": {"team": "ml"}}}]'
)


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
        pytest.param({**GOOD, "MESSAGES": "[1]"}, "MESSAGES cannot be used", id="no destination"),
        pytest.param(
            {**GOOD, "WATCH_NAMESPACES": "a", "MESSAGES": SELECTING},
            "MESSAGES: team chooses namespaces by label.*write namespaces",
            id="labels that may not be read",
        ),
        pytest.param(
            {**GOOD, "DASHBOARD_URL": "https://u:p@rollouts.example.com"},
            "DASHBOARD_URL=.*write https://rollouts.example.com",
            id="a dashboard with credentials",
        ),
        pytest.param({**GOOD, "PROOF_KEY": "x"}, "PROOF_KEY and PROOF_ENV", id="no environment"),
        pytest.param({**GOOD, "PROMOTION_PROOF": "{}"}, "PROMOTION_PROOF is no", id="no rules"),
    ],
)
def test_wrong_settings_are_named(env: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        Settings.from_environment(env)


def test_the_url_of_prometheus_keeps_its_path_and_gives_its_credentials_away() -> None:
    url = "https://us%20er:p%40ss@prom.example.com/prometheus/"
    settings = Settings.from_environment({**GOOD, "PROMETHEUS_URL": url})
    assert settings.prometheus_url == "https://prom.example.com/prometheus"
    access = settings.prometheus_access
    assert (access.username, access.password) == ("us er", "p@ss")
    assert "p@ss" not in repr(settings)


USER = {"PROMETHEUS_USERNAME": "u", "PROMETHEUS_PASSWORD": "secret-word"}
SECURE = {"PROMETHEUS_URL": "https://p"}
OF_PROMETHEUS: dict[str, tuple[dict[str, str], str]] = {
    "a user without a password": ({"PROMETHEUS_USERNAME": "u"}, "set PROMETHEUS_PASSWORD_FILE"),
    "a password without a user": (
        {"PROMETHEUS_PASSWORD": "secret-word"},
        "set PROMETHEUS_USERNAME",
    ),
    "two passwords": (
        {**USER, "PROMETHEUS_PASSWORD_FILE": "/p"},
        "PROMETHEUS_PASSWORD and PROMETHEUS_PASSWORD_FILE are both set: leave one",
    ),
    "two users": (
        {**USER, "PROMETHEUS_USERNAME_FILE": "/u"},
        "PROMETHEUS_USERNAME and PROMETHEUS_USERNAME_FILE are both set: leave one",
    ),
    "a user with a colon": ({**USER, "PROMETHEUS_USERNAME": "a:b"}, "without"),
    "a token and a user": ({**USER, "PROMETHEUS_TOKEN_FILE": "/t"}, "leave the other out"),
    "a user here and in the URL": (
        {**USER, "PROMETHEUS_URL": "http://u:secret-word@p"},
        "leave them out of http://p$",
    ),
    "a certificate without a key": (
        {**SECURE, "PROMETHEUS_CERT_FILE": "/c"},
        "set PROMETHEUS_KEY_FILE",
    ),
    "a key without a certificate": (
        {**SECURE, "PROMETHEUS_KEY_FILE": "/k"},
        "set PROMETHEUS_CERT_FILE",
    ),
    "a CA for a URL without TLS": (
        {"PROMETHEUS_CA_FILE": "/ca"},
        "PROMETHEUS_CA_FILE is set, .*: write https://",
    ),
    "headers that are no JSON": (
        {"PROMETHEUS_HEADERS": "X-Api-Key: secret-word"},
        "no JSON object of strings: write {",
    ),
    "headers that are a list": (
        {"PROMETHEUS_HEADERS": '["secret-word"]'},
        "no JSON object of strings: write {",
    ),
    "a header that is a number": ({"PROMETHEUS_HEADERS": '{"A": 1}'}, "no JSON object of strings"),
    "a header with a blank in its name": (
        {"PROMETHEUS_HEADERS": '{"A B": "secret-word"}'},
        "'A B' is no header",
    ),
    "a header that is the request's own": (
        {"PROMETHEUS_HEADERS": '{"Content-Length": "1"}'},
        "'Content-Length' is no header that can be set",
    ),
    "a header that ends the line": (
        {"PROMETHEUS_HEADERS": '{"A": "secret-word\\r\\nB: c"}'},
        "value of A cannot be sent",
    ),
    "credentials as a header": (
        {"PROMETHEUS_HEADERS": '{"authorization": "Bearer secret-word"}'},
        "leave it out, and set PROMETHEUS_TOKEN_FILE",
    ),
    "a URL without a scheme": ({"PROMETHEUS_URL": "prometheus:9090"}, "PROMETHEUS_URL: .*http://"),
    "a port that is none": (
        {"PROMETHEUS_URL": "http://u:secret-word@p:x"},
        "PROMETHEUS_URL: .*write http://HOST:PORT/PATH",
    ),
    "a URL of the API": (
        {"PROMETHEUS_URL": "https://p/workspaces/ws-1/api/v1/query"},
        "PROMETHEUS_URL: it ends in /api/v1, .*leave that out",
    ),
    "a URL with a query": ({"PROMETHEUS_URL": "http://p?tenant=a"}, "leave out what follows"),
}


@pytest.mark.parametrize(("env", "told"), OF_PROMETHEUS.values(), ids=OF_PROMETHEUS.keys())
def test_wrong_settings_of_prometheus_say_what_to_write(env: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as why:
        Settings.from_environment({**GOOD, **env})
    assert "secret-word" not in str(why.value)


OF_MLFLOW: dict[str, tuple[dict[str, str], str]] = {
    "a certificate without a key": (
        {"MLFLOW_TRACKING_URI": "https://m", "REGISTRY_CERT_FILE": "/c"},
        "belong together: set both",
    ),
    "a key without a certificate": (
        {"MLFLOW_TRACKING_URI": "https://m", "REGISTRY_KEY_FILE": "/k"},
        "belong together: set both",
    ),
    "a CA for a URL without TLS": (
        {"REGISTRY_CA_FILE": "/ca"},
        "REGISTRY_CA_FILE is set, .*: write https://",
    ),
}


@pytest.mark.parametrize(("env", "told"), OF_MLFLOW.values(), ids=OF_MLFLOW.keys())
def test_wrong_settings_of_mlflow_say_what_to_write(env: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings.from_environment({**GOOD, **env})


SIGNER = '[{"key": "-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n"}]'


def test_who_may_sign_is_told_to_model_servers() -> None:
    env = {**GOOD, "MODEL_SIGNERS": SIGNER}
    signed = Settings.from_environment({**env, "MODEL_DIGESTS": "Signed"})
    assert signed.pin_digests
    assert "BEGIN PUBLIC KEY" in signed.model_environment["MODEL_SIGNERS"]
    assert "MODEL_SIGNERS" not in Settings.from_environment(env).model_environment


UNSIGNED: dict[str, tuple[str, str]] = {
    "nobody": ("", "MODEL_DIGESTS=Signed needs MODEL_SIGNERS"),
    "no list": ("{}", "MODEL_SIGNERS is no JSON list"),
    "a private key": (
        SIGNER.replace("PUBLIC", "PRIVATE"),
        r"MODEL_SIGNERS cannot be used: 0\.key",
    ),
}


@pytest.mark.parametrize(("text", "told"), UNSIGNED.values(), ids=UNSIGNED.keys())
def test_signers_that_are_none_say_what_to_write(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings.from_environment({**GOOD, "MODEL_DIGESTS": "Signed", "MODEL_SIGNERS": text})
