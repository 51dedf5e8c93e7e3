"""What Prometheus, or a proxy before it, wants to have from whoever asks: read from the
environment, the same for the operator and for people.

It opens no file itself: tokens and certificates change while a program runs.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, unquote, urlsplit

USERNAME, USERNAME_FILE = "PROMETHEUS_USERNAME", "PROMETHEUS_USERNAME_FILE"
PASSWORD, PASSWORD_FILE = "PROMETHEUS_PASSWORD", "PROMETHEUS_PASSWORD_FILE"
TOKEN_FILE = "PROMETHEUS_TOKEN_FILE"
CA_FILE = "PROMETHEUS_CA_FILE"
CERT_FILE, KEY_FILE = "PROMETHEUS_CERT_FILE", "PROMETHEUS_KEY_FILE"
HEADERS = "PROMETHEUS_HEADERS"

EXAMPLE = '{"X-Scope-OrgID": "team-a"}'
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_OURS = ("connection", "content-length", "content-type", "host", "transfer-encoding")
"""Headers that belong to the request itself."""

Read = Callable[[str], str]
"""The text of a file; raises OSError, or UnicodeDecodeError."""


class AccessError(Exception):
    """A file is missing or wrong; the message says which, and never what is in it."""


@dataclass(frozen=True, slots=True)
class PrometheusAccess:
    """Credentials, certificates and headers; nothing of a secret is in its repr."""

    username: str = field(default="", repr=False)
    username_file: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    token_file: str = ""
    """Holds a bearer token."""
    ca_file: str = ""
    """Certificates that Prometheus' own is trusted by, in PEM; "" for the system's."""
    cert_file: str = ""
    """The client's certificate, in PEM."""
    key_file: str = ""
    """Its key, in PEM."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More headers of each request: a tenant, for example."""

    @property
    def basic(self) -> bool:
        """Whether user and password are sent."""
        return bool(self.username or self.username_file)

    def request_headers(self, read: Read) -> dict[str, str]:
        """The headers of the next request; files are read anew each time. Raises AccessError."""
        headers = dict(self.headers)
        if self.token_file:
            token = _content(TOKEN_FILE, self.token_file, read).strip()
            if not _TOKEN.fullmatch(token):
                raise AccessError(
                    f"{TOKEN_FILE}={self.token_file} holds no token: write one alone in it, without"
                    " blanks or a second line."
                )
            headers["Authorization"] = f"Bearer {token}"
        elif self.basic:
            user = self.username or _content(USERNAME_FILE, self.username_file, read)
            password = (
                _content(PASSWORD_FILE, self.password_file, read)
                if self.password_file
                else self.password
            )
            pair = f"{user}:{password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers


def _content(variable: str, path: str, read: Read) -> str:
    """What a file holds, without the end of its line. Raises AccessError."""
    try:
        text = read(path).rstrip("\r\n")
    except OSError as failure:
        raise AccessError(f"{variable}={path} cannot be read: {failure.strerror}.") from failure
    except UnicodeDecodeError:
        raise AccessError(f"{variable}={path} is no text.") from None
    if not text:
        raise AccessError(f"{variable}={path} is empty.")
    return text


def access(env: Mapping[str, str]) -> PrometheusAccess:
    """What the environment says of it. Raises ValueError with what to write."""

    def text(name: str) -> str:
        return env.get(name, "").strip()

    made = PrometheusAccess(
        username=text(USERNAME),
        username_file=text(USERNAME_FILE),
        password=env.get(PASSWORD, ""),
        password_file=text(PASSWORD_FILE),
        token_file=text(TOKEN_FILE),
        ca_file=text(CA_FILE),
        cert_file=text(CERT_FILE),
        key_file=text(KEY_FILE),
        headers=headers(text(HEADERS)),
    )
    for one, other in ((USERNAME, USERNAME_FILE), (PASSWORD, PASSWORD_FILE)):
        if env.get(one, "") and text(other):
            raise ValueError(f"{one} and {other} are both set: leave one of them out")
    has_password = bool(made.password or made.password_file)
    if made.token_file and (made.basic or has_password):
        raise ValueError(
            f"{TOKEN_FILE} and a user's name or password are both set: Prometheus is sent one of"
            " them; leave the other out"
        )
    if made.basic and not has_password:
        raise ValueError(f"{USERNAME} has no password: set {PASSWORD_FILE} to a file that holds it")
    if has_password and not made.basic:
        raise ValueError(f"a password for Prometheus has no user: set {USERNAME}")
    if ":" in made.username:
        raise ValueError(f"{USERNAME} has a colon, which ends it: write a name without")
    if made.cert_file and not made.key_file:
        raise ValueError(f"{CERT_FILE} has no key: set {KEY_FILE} to the file that holds it")
    if made.key_file and not made.cert_file:
        raise ValueError(
            f"{KEY_FILE} has no certificate: set {CERT_FILE} to the file that holds it"
        )
    return made


def headers(text: str) -> Mapping[str, str]:
    """The entries of PROMETHEUS_HEADERS, a JSON object; none for "". Raises ValueError, which tells
    no value.
    """
    if not text:
        return {}
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise ValueError(f"{HEADERS} is no JSON object of strings: write {EXAMPLE}")
    for name, value in given.items():
        if name.lower() == "authorization":
            raise ValueError(
                f"{HEADERS} has Authorization: leave it out, and set {TOKEN_FILE}, or {USERNAME}"
                f" and {PASSWORD_FILE}"
            )
        if name.lower() in _OURS or not _HEADER.fullmatch(name):
            raise ValueError(f"{HEADERS}: {name!r} is no header that can be set: write {EXAMPLE}")
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"{HEADERS}: the value of {name} cannot be sent: write printable ASCII, without"
                " blanks at its ends"
            )
    return given


def of_url(url: str, more: PrometheusAccess) -> tuple[str, PrometheusAccess]:
    """The URL without the credentials in it, and the access with them. Raises ValueError, which
    tells no password.
    """
    parts = _parts(url)
    place = parts.netloc.rpartition("@")[2]
    plain = parts._replace(netloc=place).geturl().rstrip("/")
    if not parts.username:
        return plain, more
    if more.basic or more.token_file:
        raise ValueError(
            f"credentials stand in the URL and in PROMETHEUS_…: leave them out of {plain}"
        )
    return plain, replace(
        more, username=unquote(parts.username), password=unquote(parts.password or "")
    )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018
    except ValueError:
        raise ValueError("the URL cannot be read: write http://HOST:PORT/PATH") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it is no URL: write http://HOST:PORT or https://HOST/PATH")
    if parts.query or parts.fragment:
        raise ValueError("it has ? or #: leave out what follows the path")
    if re.search(r"/api/v1(/query)?/?$", parts.path):
        raise ValueError("it ends in /api/v1, which is added to it: leave that out")
    return parts


def encrypted_for(url: str, made: PrometheusAccess) -> None:
    """Raises ValueError where certificates are set and the URL does without them."""
    if url.startswith("http://") and (made.ca_file or made.cert_file):
        name = CA_FILE if made.ca_file else CERT_FILE
        raise ValueError(f"{name} is set, and the URL begins with http://: write https://")
