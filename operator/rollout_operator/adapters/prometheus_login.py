"""What each request to Prometheus carries: from files that are written again while we run."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from rollout_operator.adapters.tls_files import TlsFiles, TlsFilesError
from rollout_operator.domain.prometheus_access import AccessError, PrometheusAccess


@dataclass
class PrometheusLogin:
    """Headers and TLS; both follow their files."""

    access: PrometheusAccess = field(default_factory=PrometheusAccess)
    """Which credentials and files to use; by default none."""
    _files: TlsFiles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        given = self.access
        self._files = TlsFiles("PROMETHEUS", given.ca_file, given.cert_file, given.key_file)

    def headers(self) -> dict[str, str]:
        """For the next request. Raises AccessError."""
        return self.access.request_headers(_text)

    def tls(self) -> ssl.SSLContext | bool:
        """For the next connection, as TlsFiles has it. Raises AccessError."""
        try:
            return self._files.context()
        except TlsFilesError as failure:
            raise AccessError(str(failure)) from failure


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")
