"""TLS by a private CA and a client certificate, from files that are written again while we run."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

Stamp = tuple[int, int, int] | None


class TlsFilesError(Exception):
    """A file is missing or wrong; the message says which, and never what is in it."""


@dataclass
class TlsFiles:
    """What connections to one server are made with; follows its files."""

    prefix: str = ""
    """Of the variables that name the files: PREFIX_CA_FILE, PREFIX_CERT_FILE, PREFIX_KEY_FILE."""
    ca_file: str = ""
    """Certificates that the server's own is trusted by, in PEM; "" for the system's."""
    cert_file: str = ""
    """The client's certificate, in PEM; "" for none."""
    key_file: str = ""
    """Its key, in PEM."""
    _context: ssl.SSLContext | None = field(default=None, init=False, repr=False)
    _made_of: tuple[Stamp, ...] = field(default=(), init=False, repr=False)
    """The files that the context was made of."""

    def context(self) -> ssl.SSLContext | bool:
        """For the next connection; True for the system's CAs and no certificate.

        A connection that is open goes on with its own: another context makes another. Files that
        cannot be used are passed over while there is a context of earlier ones: they may be half
        written. Raises TlsFilesError.
        """
        files = [path for path in (self.ca_file, self.cert_file, self.key_file) if path]
        if not files:
            return True
        stamps = tuple(_stamp(path) for path in files)
        if self._context is None or stamps != self._made_of:
            try:
                self._context, self._made_of = self._made(), stamps
            except TlsFilesError:
                if self._context is None:
                    raise
        return self._context

    def _made(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ValueError) as failure:
            said = _unusable(f"{self.prefix}_CA_FILE={self.ca_file}", failure)
            raise TlsFilesError(said) from failure
        if self.cert_file:
            try:
                # Never ask a terminal for the password of a key.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except (OSError, ValueError) as failure:
                pair = (
                    f"{self.prefix}_CERT_FILE={self.cert_file} and"
                    f" {self.prefix}_KEY_FILE={self.key_file}"
                )
                raise TlsFilesError(_unusable(pair, failure)) from failure
        return context


def _stamp(path: str) -> Stamp:
    """Another one for another content; a mounted Secret is a link to a new file then."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _unusable(files: str, failure: Exception) -> str:
    if isinstance(failure, ssl.SSLError):
        reason = (failure.reason or "no PEM").replace("_", " ").lower()
    else:
        reason = getattr(failure, "strerror", None) or type(failure).__name__
    return f"{files} cannot be used: {reason}."
