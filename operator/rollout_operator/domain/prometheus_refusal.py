"""What Prometheus says against whoever asks, and the value to set."""

import base64
import re
from collections.abc import Mapping

from rollout_operator.domain.prometheus_access import (
    CA_FILE,
    CERT_FILE,
    EXAMPLE,
    HEADERS,
    KEY_FILE,
    PASSWORD_FILE,
    TOKEN_FILE,
    USERNAME,
    PrometheusAccess,
)

_SET = f"set {TOKEN_FILE}, or {USERNAME} and {PASSWORD_FILE} (in the chart: prometheus.auth)"


def refusal(status: int, said: str, made: PrometheusAccess) -> str:
    """What to set after HTTP 401 or 403; "" after any other."""
    if status == 401 and "no org id" in said:
        return f"It wants a tenant: set {HEADERS} to {EXAMPLE} (in the chart: prometheus.headers)."
    if status == 401 and made.token_file:
        return (
            f"It does not take the token: put a valid one into {TOKEN_FILE}={made.token_file} (in"
            " the chart: the Secret of prometheus.auth)."
        )
    if status == 401 and made.basic:
        return (
            f"It does not take this user and password: correct {USERNAME} and {PASSWORD_FILE} (in"
            " the chart: the Secret of prometheus.auth)."
        )
    if status == 401:
        return f"It wants credentials: {_SET}."
    if status == 403 and (made.token_file or made.basic):
        return "It knows the credentials, which may not query: give them that right."
    return f"It may want credentials: {_SET}." if status == 403 else ""


_WANTED = f"set {CERT_FILE} and {KEY_FILE} (in the chart: prometheus.clientCertificate)"
_TLS = {
    "CERTIFICATE_VERIFY_FAILED.*mismatch": (
        "its certificate is for another host: write a name into the URL that stands in it (in the"
        " chart: prometheus.url)"
    ),
    "CERTIFICATE_VERIFY_FAILED.*has expired": "its certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": (
        f"its certificate is signed by an unknown CA: set {CA_FILE} to that CA's certificate (in"
        " the chart: prometheus.ca)"
    ),
    "ALERT_UNKNOWN_CA|ALERT_CERTIFICATE_EXPIRED|ALERT_CERTIFICATE_UNKNOWN": (
        f"it does not take the client certificate, by its CA or its age: {_WANTED}"
    ),
    "CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE": (
        f"it wants a client certificate: {_WANTED}"
    ),
    "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE": (
        "it does not speak TLS: write http:// (in the chart: prometheus.url)"
    ),
}
"""What helps, by OpenSSL's words for what failed; the first that match count."""
_CLOSED = ("ClientOSError", "ServerDisconnectedError", "ProtocolError")
"""What aiohttp and urllib3 call it where the other end closes the connection."""


def _reasons(failure: BaseException | None) -> str:
    """What it says, and what those say that it came from."""
    told = []
    while failure is not None:
        told.append(str(failure))
        failure = failure.__cause__ or failure.__context__
    return "; ".join(told)


def no_answer(failure: BaseException, url: str) -> str:
    """Why nothing came back, and what to set where TLS is the reason; url: whom was asked."""
    text, reasons = str(failure), _reasons(failure)
    for pattern, sentence in _TLS.items():
        if re.search(pattern, reasons):
            return f"Prometheus cannot be asked by TLS: {sentence}."
    closed = type(failure).__name__ in _CLOSED or "EOF occurred" in reasons
    if url.startswith("https:") and closed:
        # Its alert is lost where it closes the connection before all was sent.
        return (
            "Prometheus closed the connection without an answer. If it does so again it wants a"
            f" client certificate, or another one: {_WANTED}."
        )
    return f"Prometheus did not answer: {type(failure).__name__} {text}".strip()


def without_secrets(body: bytes, sent: Mapping[str, str]) -> bytes:
    """What was answered, without the values of the headers that were sent: a proxy may repeat
    them.
    """
    for value in sent.values():
        scheme, _, secret = value.rpartition(" ")
        # The whole first, or its end would be taken out of it.
        secrets = [value.encode(), secret.encode()]
        if scheme == "Basic":
            secrets.append(base64.b64decode(secret).partition(b":")[2])
        for one in filter(None, secrets):
            body = re.sub(rb"(?<!\w)" + re.escape(one) + rb"(?!\w)", b"***", body)
    return body
