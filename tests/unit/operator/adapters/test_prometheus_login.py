"""What each request to Prometheus carries, from files that change, and the sentences where that is
not enough.
"""

import base64
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from rollout_operator.adapters.prometheus_login import PrometheusLogin
from rollout_operator.domain.gates import promql
from rollout_operator.domain.observed import MetricsUnreachable
from rollout_operator.domain.prometheus_access import AccessError, PrometheusAccess, access, of_url
from rollout_operator.domain.prometheus_refusal import no_answer, without_secrets
from tests.support.certificate import self_signed


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def test_nothing_is_sent_where_nothing_is_set() -> None:
    login = PrometheusLogin(access({}))
    assert (login.headers(), login.tls()) == ({}, True)


def test_files_are_read_for_each_request(tmp_path: Path) -> None:
    token, user, password = (tmp_path / name for name in ("token", "user", "password"))
    bearer = PrometheusLogin(access({"PROMETHEUS_TOKEN_FILE": str(token)}))
    pair = PrometheusLogin(
        access({"PROMETHEUS_USERNAME_FILE": str(user), "PROMETHEUS_PASSWORD_FILE": str(password)})
    )
    for turn in ("one", "two"):
        token.write_text(f"t-{turn}\n")
        user.write_text(f"u-{turn}\n")
        password.write_text(f"p: {turn} \n")
        assert bearer.headers() == {"Authorization": f"Bearer t-{turn}"}
        assert pair.headers() == {"Authorization": basic(f"u-{turn}:p: {turn} ")}


def test_headers_go_beside_credentials() -> None:
    env = {
        "PROMETHEUS_USERNAME": "u",
        "PROMETHEUS_PASSWORD": "p",
        "PROMETHEUS_HEADERS": '{"X-Scope-OrgID": "team-a|team-b"}',
    }
    assert PrometheusLogin(access(env)).headers() == {
        "X-Scope-OrgID": "team-a|team-b",
        "Authorization": basic("u:p"),
    }


def test_credentials_of_the_url_are_unquoted() -> None:
    url, made = of_url("https://u%3A1:p%2F@p/x/", PrometheusAccess())
    assert url == "https://p/x"
    assert PrometheusLogin(made).headers() == {"Authorization": basic("u:1:p/")}


TOKENS: dict[str, tuple[bytes | None, str]] = {
    "no file": (None, "cannot be read: No such file or directory"),
    "an empty one": (b"\n", "is empty"),
    "two lines": (b"secret\nword", "holds no token: write one alone"),
    "a line end that would end the header": (b"secret\r\nX: y", "holds no token"),
    "no text": (b"\xff\xfe", "is no text"),
}


@pytest.mark.parametrize(("content", "told"), TOKENS.values(), ids=TOKENS.keys())
def test_a_token_file_that_cannot_be_used(content: bytes | None, told: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    login = PrometheusLogin(access({"PROMETHEUS_TOKEN_FILE": str(token)}))
    with pytest.raises(AccessError) as why:
        login.headers()
    assert str(why.value).startswith(f"PROMETHEUS_TOKEN_FILE={token} {told}")
    assert "secret" not in str(why.value)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    """Two keys with their certificates."""
    made = []
    for name in ("one", "two"):
        key, certificate = self_signed(tmp_path_factory.mktemp(name), "DNS:localhost")
        made.append((key.read_bytes(), certificate.read_bytes()))
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {name: tmp_path / name for name in ("CA", "CERT", "KEY")}


def login_of(files: dict[str, Path]) -> PrometheusLogin:
    return PrometheusLogin(access({f"PROMETHEUS_{n}_FILE": str(p) for n, p in files.items()}))


def test_certificates_that_are_written_again_are_taken(
    files: dict[str, Path], pairs: list[tuple[bytes, bytes]]
) -> None:
    def write(key: bytes, certificate: bytes) -> None:
        for name, content in (("CA", certificate), ("CERT", certificate), ("KEY", key)):
            files[name].write_bytes(content)

    def serials(context: ssl.SSLContext | bool) -> set[str]:
        assert isinstance(context, ssl.SSLContext)
        return {str(one["serialNumber"]) for one in context.get_ca_certs()}

    (first_key, first), (second_key, second) = pairs
    write(first_key, first)
    login = login_of(files)
    before = login.tls()
    assert login.tls() is before, "connections stay as long as the files do"
    assert len(serials(before)) == 1, "the system's CAs are not trusted beside it"
    files["CERT"].write_bytes(second)
    assert login.tls() is before, "half a pair is passed over"
    write(second_key, second)
    after = login.tls()
    assert after is not before
    assert serials(after) != serials(before)
    files["CA"].unlink()
    assert login.tls() is after


WRONG_FILES: dict[
    str, tuple[Callable[[dict[str, Path], list[tuple[bytes, bytes]]], object], str]
] = {
    "no CA": (lambda files, _: files["CA"].unlink(), "PROMETHEUS_CA_FILE=.*No such file"),
    "a CA that is none": (
        lambda files, _: files["CA"].write_text("secret-word"),
        "PROMETHEUS_CA_FILE=.* cannot be used: no certificate",
    ),
    "a key of another": (
        lambda files, pairs: files["KEY"].write_bytes(pairs[1][0]),
        "PROMETHEUS_CERT_FILE=.* and PROMETHEUS_KEY_FILE=.*: key values mismatch",
    ),
    "a key that is none": (
        lambda files, _: files["KEY"].write_text("secret-word"),
        "PROMETHEUS_KEY_FILE=.* cannot be used: no pem",
    ),
}


@pytest.mark.parametrize(("spoil", "told"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_certificates_that_cannot_be_used(
    spoil: Callable[[dict[str, Path], list[tuple[bytes, bytes]]], object],
    told: str,
    files: dict[str, Path],
    pairs: list[tuple[bytes, bytes]],
) -> None:
    key, certificate = pairs[0]
    for name, content in (("CA", certificate), ("CERT", certificate), ("KEY", key)):
        files[name].write_bytes(content)
    spoil(files, pairs)
    with pytest.raises(AccessError, match=told) as why:
        login_of(files).tls()
    assert "secret-word" not in str(why.value)


NOTHING: dict[str, str] = {}
TOKEN = {"PROMETHEUS_TOKEN_FILE": "/t"}
USER = {"PROMETHEUS_USERNAME": "u", "PROMETHEUS_PASSWORD": "p"}
REFUSALS: dict[str, tuple[int, bytes, dict[str, str], str]] = {
    "no credentials": (
        401,
        b"Unauthorized\n",
        NOTHING,
        "and said: Unauthorized. It wants credentials: set PROMETHEUS_TOKEN_FILE, or PROMETHEUS_",
    ),
    "a wrong password": (
        401,
        b"Unauthorized\n",
        USER,
        "It does not take this user and password: correct PROMETHEUS_USERNAME and",
    ),
    "an old token": (
        401,
        b"",
        TOKEN,
        "It does not take the token: put a valid one into PROMETHEUS_TOKEN_FILE=/t",
    ),
    "an old token, as nginx says it": (
        401,
        b"<html><head><title>401 Authorization Required</title></head><body>No</body></html>",
        TOKEN,
        "and said: No. It does not take the token",
    ),
    "no tenant": (
        401,
        b"no org id\n",
        NOTHING,
        'set PROMETHEUS_HEADERS to {"X-Scope-OrgID": "team-a"} (in the chart: prometheus.headers).',
    ),
    "no right": (403, b"Forbidden", TOKEN, "which may not query: give them that right"),
    "a proxy that hides that it wants a token": (
        403,
        b"RBAC: access denied",
        NOTHING,
        "and said: RBAC: access denied. It may want credentials: set PROMETHEUS_TOKEN_FILE",
    ),
}


@pytest.mark.parametrize(("status", "body", "env", "told"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_names_the_value_to_set(
    status: int, body: bytes, env: dict[str, str], told: str
) -> None:
    said = promql.read(status, body, access(env))
    assert isinstance(said, MetricsUnreachable)
    assert told in said.message
    assert len(said.message) < 400


def test_what_a_proxy_repeats_is_not_told() -> None:
    sent = {
        "Authorization": basic("u:pass-word"),
        "X-Api-Key": "k-1",
        "X-Token": "Bearer t-1",
    }
    pair = sent["Authorization"].split()[1]
    body = f"{pair} pass-word k-1 Bearer t-1 t-1 pass-words 401".encode()
    assert without_secrets(body, sent) == b"*** *** *** *** *** pass-words 401"


FAILURES: dict[str, tuple[str, str]] = {
    "an unknown CA": (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer",
        "unknown CA: set PROMETHEUS_CA_FILE to that CA's certificate (in the chart: prometheus.ca)",
    ),
    "another host": (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch",
        "for another host: write a name into the URL",
    ),
    "an old certificate": (
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired",
        "its certificate has expired",
    ),
    "no client certificate": (
        "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required",
        "wants a client certificate: set PROMETHEUS_CERT_FILE and PROMETHEUS_KEY_FILE",
    ),
    "a client certificate of another CA": (
        "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca",
        "does not take the client certificate, by its CA or its age: set PROMETHEUS_CERT_FILE",
    ),
    "no TLS": ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "write http://"),
    "another": ("Connection refused", "Prometheus did not answer: OSError Connection refused"),
}


@pytest.mark.parametrize(("text", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_a_connection_that_fails_names_the_value_to_set(text: str, told: str) -> None:
    assert told in no_answer(OSError(text), "https://p")
    reason = aiohttp.ClientOSError(None, "Can not write request body")
    reason.__cause__ = OSError(text)
    if "did not answer" not in told:
        assert told in no_answer(reason, "https://p")


def test_a_connection_that_is_closed_may_want_a_client_certificate() -> None:
    ended = OSError("EOF occurred in violation of protocol (_ssl.c:2427)")
    for closed in (aiohttp.ServerDisconnectedError(), ended):
        said = no_answer(closed, "https://p")
        assert "wants a client certificate, or another one: set PROMETHEUS_CERT_FILE" in said
        assert "client certificate" not in no_answer(closed, "http://p")
