"""A real PostgreSQL of the system's packages, with a folder of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from scripts.cluster.apiserver import free_port
from scripts.cluster.debian import apt_get

PACKAGES = ("postgresql",)
PATIENCE = 60.0
"""Seconds that a start may take."""


class NoPostgresError(RuntimeError):
    """There is no PostgreSQL, and none can be installed; the message says what helps."""


def programs() -> Path:
    """The folder with initdb and postgres, installed by apt where it is missing. Raises
    NoPostgresError.
    """
    if (there := _found()) is not None:
        return there
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoPostgresError(
            "These tests need PostgreSQL's server, and none is installed:"
            f" `sudo apt-get install {' '.join(PACKAGES)}`."
        )
    apt_get(lambda: () if _found() else PACKAGES)
    if (there := _found()) is None:
        raise NoPostgresError("apt-get has installed postgresql, and there is no initdb.")
    return there


def _found() -> Path | None:
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if known:
        return known[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """One server; it may be killed and started again on the same folder."""

    def __init__(self, host: str = "127.0.0.1", password: str = "") -> None:
        """host: the address of this machine that it listens on; password: of its user, asked of
        everyone; "" trusts whoever reaches it.
        """
        self._bin = programs()
        self.host, self._password = host, password
        # Its user has to reach the folder, which pytest's own does not let it.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        secret = self._folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        way = ["-A", "scram-sha-256", f"--pwfile={secret}"] if password else ["-A", "trust"]
        self._run("initdb", "-D", str(self._folder / "data"), *way, "-U", "postgres", "-N")
        secret.unlink()
        if password:
            with (self._folder / "data" / "pg_hba.conf").open("a") as hosts:
                hosts.write("host all all all scram-sha-256\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The URL of its database."""
        who = f"postgres:{self._password}" if self._password else "postgres"
        return f"postgresql://{who}@{self.host}:{self.port}/postgres"

    def rotate(self, password: str) -> None:
        """Another password from now on; connections that are open stay so."""
        with psycopg.connect(self.address, autocommit=True) as owner:
            owner.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(sql.Literal(password)))
        self._password = password

    def start(self) -> None:
        """Start it, and wait until it takes connections. After a kill its children may live on for
        a moment, and it refuses to start beside them.
        """
        end = time.monotonic() + PATIENCE
        ready = [str(self._bin / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        while True:
            if self._process is None or self._process.poll() is not None:
                self._process = self._begun()
            elif not subprocess.run(ready, check=False).returncode:
                return
            assert time.monotonic() < end, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def _begun(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as output:
            return subprocess.Popen(
                [
                    str(self._bin / "postgres"),
                    *("-D", str(self._folder / "data"), "-p", str(self.port)),
                    *("-h", self.host, "-k", "", "-c", "shared_buffers=16MB"),
                ],
                stdout=output,
                stderr=output,
                user=self._user,
            )

    def kill(self) -> None:
        """SIGKILL to the server, whose children end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGINT: it ends at once, and in order; its folder goes with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            user=self._user,
            cwd=self._folder,
        )
        assert not done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def postgres(host: str = "127.0.0.1", password: str = "") -> Iterator[Server]:
    """A server that runs as long as the context; host and password as in Server."""
    server = Server(host, password)
    server.start()
    try:
        yield server
    finally:
        server.stop()
