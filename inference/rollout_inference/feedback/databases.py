"""Connections to what remembers labels: a file of SQLite's, or a PostgreSQL server; the same SQL
for both, with SQLite's marks.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

BUSY = 5
"""Seconds that a statement may take, or wait for others."""


class Cursor(Protocol):
    """What SQLite's and PostgreSQL's cursors have in common."""

    @property
    def rowcount(self) -> int:
        """Of the last statement; of executemany, of all."""

    def execute(self, sql: str, values: Sequence[Any] = ...) -> Any:
        """One statement."""

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Any:
        """The same for each."""

    def fetchall(self) -> list[Any]:
        """The rows of the last statement."""


class Database(Protocol):
    """One connection; it is made when it is first needed, and anew after a failure."""

    failures: tuple[type[Exception], ...]
    """What a connection raises."""
    locking: str
    """What makes a SELECT of entries keep its rows until the transaction ends; "" where the whole
    database is kept.
    """
    locking_one: str
    """The same of a single row."""
    has_tables: str
    """A query with a row where the last of the tables exists."""
    clock: str
    """A query of the database's own time (Unix time, s), which all who share it go by; "" where
    these have one clock anyway.
    """

    def advice(self, failure: Exception) -> str:
        """What to do about one of `failures`, for those who run the operator; "" for what passes
        by itself.
        """

    def transaction(self) -> Any:
        """A context that gives a Cursor; what was done in it is there wholly or not at all."""

    def close(self) -> None:
        """Let the connection go."""


_OF_SQLITE = {
    "SQLITE_FULL": "the volume is full: give the claim more room than maxBytes",
    "SQLITE_READONLY": "the volume is read-only: let the claim's volume be written",
    "SQLITE_CANTOPEN": (
        "the server's user may not write the volume: have it belong to group 65532, or to the"
        " profile's fsGroup"
    ),
    "SQLITE_NOTADB": "the file is no database: move it away, and a new one is begun",
    "SQLITE_CORRUPT": "the file is damaged: move it away, and a new one is begun",
}
"""By how SQLite's name of the error begins. Source: sqlite.org/rescode.html."""


class Sqlite:
    """A file on a volume. All pods that use it run on one node: its locks are the kernel's.

    In WAL mode with synchronous=NORMAL a killed process loses nothing that was answered; a node
    that loses its power may lose the newest seconds. Source: sqlite.org/wal.html.
    """

    failures: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    locking = locking_one = clock = ""
    has_tables = "SELECT name FROM sqlite_master WHERE name = 'feedback_scopes'"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._opened = 0
        """The file's inode."""

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Immediate: whoever reads in it is about to write."""
        if self._connection is not None and self._inode() != self._opened:
            # What is written to a file that was deleted, or put back from a copy, nobody finds.
            self.close()
        if self._connection is None:
            self._connection = self._connected()
            self._opened = self._inode()
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection.cursor()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def advice(self, failure: Exception) -> str:
        code = getattr(failure, "sqlite_errorname", "")
        if isinstance(failure, PermissionError):
            code = "SQLITE_CANTOPEN"
        return next((told for start, told in _OF_SQLITE.items() if code.startswith(start)), "")

    def _inode(self) -> int:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return 0

    def _connected(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = sqlite3.connect(
            self.path, timeout=BUSY, isolation_level=None, check_same_thread=False
        )
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=NORMAL")
        return made


class _Postgres:
    """PostgreSQL's cursor, asked with SQLite's marks."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        count: int = self._cursor.rowcount
        return count

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        self._cursor.execute(sql.replace("?", "%s"), values)
        return self

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Any:
        # psycopg sends them in one go (pipeline mode).
        self._cursor.executemany(sql.replace("?", "%s"), list(values))
        return self

    def fetchall(self) -> list[Any]:
        rows: list[Any] = self._cursor.fetchall()
        return rows


class Postgres:
    """A PostgreSQL server, for pods on any node; `url` and libpq's variables (PGHOST, PGUSER,
    PGPASSWORD, PGSSLROOTCERT …) say which. Source: postgresql.org/docs/current/libpq-envars.html.
    """

    locking = " ORDER BY key FOR UPDATE"
    locking_one = " FOR UPDATE"
    clock = "SELECT extract(epoch FROM clock_timestamp())::double precision"
    has_tables = "SELECT oid FROM pg_class WHERE oid = to_regclass('feedback_scopes')"

    def __init__(self, url: str) -> None:
        # Where there is a file, nobody pays for it.
        import psycopg  # noqa: PLC0415

        self._psycopg, self._url = psycopg, url
        self.failures: tuple[type[Exception], ...] = (psycopg.Error, OSError)
        self._connection: Any = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Read committed; rows that are read with `locking` stay as they are."""
        if self._connection is None:
            self._connection = self._psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=BUSY,
                application_name="model-rollouts-feedback",
                options=f"{self._asked_for()} -c statement_timeout={BUSY * 1000}".strip(),
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=BUSY * 1000,
            )
        with self._connection.transaction(), self._connection.cursor() as cursor:
            yield _Postgres(cursor)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked_for(self) -> str:
        """The options of the URL itself. Raises psycopg.OperationalError without the URL, whose
        password is no log's business.
        """
        try:
            found = self._psycopg.conninfo.conninfo_to_dict(self._url)
        except self._psycopg.ProgrammingError:
            raise self._psycopg.OperationalError(
                "the URL cannot be read: write special characters of user and password as %XX"
            ) from None
        return str(found.get("options") or "")

    def advice(self, failure: Exception) -> str:
        code, text = getattr(failure, "sqlstate", None), str(failure)
        # Of a connection that is refused there is the server's sentence only.
        return next((a for state, said, a in _OF_POSTGRES if code == state or said in text), "")


_OF_POSTGRES = (
    (
        "28P01",
        "password authentication failed",
        "the pod has the Secret's URL of when it started: after another password, replace the pods",
    ),
    (
        "25006",
        "in a read-only transaction",
        "this server takes no writes: add target_session_attrs=read-write to the URL",
    ),
    (
        "42501",
        "permission denied",
        "grant the URL's user SELECT, INSERT, UPDATE and DELETE on the tables feedback_…",
    ),
    ("53100", "No space left on device", "the database's disk is full"),
)
"""SQLSTATE, what the server says, and what to do. Source: PostgreSQL's appendix A."""


def database(address: str, scope: str) -> Database:
    """`sqlite:FOLDER`, a file for each scope in it, or `postgresql://…`. Raises ValueError."""
    if address.startswith("sqlite:/"):
        return Sqlite(Path(address.removeprefix("sqlite:")) / f"{scope}.sqlite")
    if address.startswith(("postgresql://", "postgres://")):
        return Postgres(address)
    raise ValueError("write sqlite:/FOLDER, or postgresql://HOST/DATABASE")
