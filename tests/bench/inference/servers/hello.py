"""The ceiling: the least that an ASGI application can do."""

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Thirteen bytes for whatever is asked."""
    if scope["type"] != "http":
        return
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, world!"})
