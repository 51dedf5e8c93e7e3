"""What each request to Prometheus carries: from files that are written again while we run."""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from rollout_operator.domain.prometheus_access import (
    CA_FILE,
    CERT_FILE,
    KEY_FILE,
    AccessError,
    PrometheusAccess,
)

Stamp = tuple[int, int, int] | None


@dataclass
class PrometheusLogin:
    """Headers and TLS; both follow their files."""

    access: PrometheusAccess = field(default_factory=PrometheusAccess)
    _context: ssl.SSLContext | None = None
    _made_of: tuple[Stamp, ...] = ()
    """The files that the context was made of."""

    def headers(self) -> dict[str, str]:
        """For the next request. Raises AccessError."""
        return self.access.request_headers(_text)

    def tls(self) -> ssl.SSLContext | bool:
        """For the next connection; True for the system's CAs and no certificate.

        A connection that is open goes on with its own: another context makes another. Files that
        cannot be used are passed over while there is a context of earlier ones: they may be half
        written. Raises AccessError.
        """
        access = self.access
        files = [path for path in (access.ca_file, access.cert_file, access.key_file) if path]
        if not files:
            return True
        stamps = tuple(_stamp(path) for path in files)
        if self._context is None or stamps != self._made_of:
            try:
                self._context, self._made_of = _context(access), stamps
            except AccessError:
                if self._context is None:
                    raise
        return self._context


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _stamp(path: str) -> Stamp:
    """Another one for another content; a mounted Secret is a link to a new file then."""
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _context(access: PrometheusAccess) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
    except (OSError, ValueError) as failure:
        raise AccessError(_unusable(f"{CA_FILE}={access.ca_file}", failure)) from failure
    if access.cert_file:
        try:
            # Never ask a terminal for the password of a key.
            context.load_cert_chain(access.cert_file, access.key_file, password="")
        except (OSError, ValueError) as failure:
            pair = f"{CERT_FILE}={access.cert_file} and {KEY_FILE}={access.key_file}"
            raise AccessError(_unusable(pair, failure)) from failure
    return context


def _unusable(files: str, failure: Exception) -> str:
    if isinstance(failure, ssl.SSLError):
        reason = (failure.reason or "no PEM").replace("_", " ").lower()
    else:
        reason = getattr(failure, "strerror", None) or type(failure).__name__
    return f"{files} cannot be used: {reason}."
