"""What every request must keep to, and every answer says: Host, origin, and the headers."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rollout_dashboard.settings import LOOPBACK, Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # Without any referrer browsers say `Origin: null` of our own forms, too.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SAFE = frozenset({"GET", "HEAD"})


def refusal(method: str, path: str, headers: Mapping[str, str], settings: Settings) -> str:
    """Why a request is not answered; "" where it is.

    The Host must be ours: a name that a foreign site had pointed at this address is not (DNS
    rebinding). A write must come from one of our own pages, which browsers say in Origin and
    Sec-Fetch-Site; whatever says neither is no browser of a viewer.
    """
    host = headers.get("host", "")
    if not _is_ours(host, settings) and path != "/healthz":
        return f"This dashboard is not {host!r}: open it by the address that it was given."
    site = headers.get("sec-fetch-site", "")
    if method in SAFE:
        foreign = site in {"cross-site", "same-site"}
        if foreign and headers.get("sec-fetch-mode", "") != "navigate":
            return "Other sites cannot read this dashboard."
        return ""
    origin = headers.get("origin", "")
    if site and site != "same-origin":
        return "Other sites cannot steer this dashboard."
    if origin and not _is_origin(origin, host, settings):
        return "Other sites cannot steer this dashboard."
    if not site and not origin:
        return "A command has to come from a page of this dashboard."
    return ""


def _is_ours(host: str, settings: Settings) -> bool:
    if settings.public_url:
        return host == urlsplit(settings.public_url).netloc or name_of(host) in LOOPBACK
    if settings.host in LOOPBACK:
        return host in {f"{name}:{settings.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return bool(host)


def _is_origin(origin: str, host: str, settings: Settings) -> bool:
    if settings.public_url and origin == settings.public_url:
        return True
    return origin.partition("://")[2] == host


def name_of(host: str) -> str:
    """The name in a Host header, without its port; "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class Guard:
    """ASGI middleware: refuses what must not be answered, and adds the headers to all answers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if self._settings.secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        asked = HTTPConnection(scope)
        why = refusal(scope["method"], scope["path"], asked.headers, self._settings)
        if why:
            await PlainTextResponse(why, status_code=403)(scope, receive, dressed)
            return
        await self.app(scope, receive, dressed)
