"""Runs a command in a pseudo-terminal and notes what it writes, and when. POSIX only."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

CHUNK = 65536
GRACE = 5.0
"""Seconds that the command has to end after Ctrl-C; then it is killed."""


class Terminal:
    """Records `command` from entering until leaving the context, which ends it as Ctrl-C does."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], columns: int, rows: int
    ) -> None:
        self.pieces: list[tuple[float, str]] = []
        self._command, self._size = [*command], (columns, rows)
        self._env = {**env, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
        self._env.pop("NO_COLOR", None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="terminal", daemon=True)

    def __enter__(self) -> Self:
        self._child, self._master = pty.fork()
        if self._child == 0:
            # In the child nothing may be done but to become the command.
            try:
                os.execvpe(self._command[0], self._command, self._env)
            finally:
                os._exit(127)
        columns, rows = self._size
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(GRACE)
        os.write(self._master, b"\x03")
        end = time.monotonic() + GRACE
        while os.waitpid(self._child, os.WNOHANG) == (0, 0):
            # Output that nobody reads would keep the command from ending.
            if select.select([self._master], [], [], 0.1)[0]:
                self._piece()
            if time.monotonic() > end:
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
                break
        os.close(self._master)

    @property
    def seconds(self) -> float:
        """Since the command was started."""
        return time.monotonic() - self._begun

    def _read(self) -> None:
        left = b""
        while not self._stop.is_set():
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            if not (read := self._piece()):
                return
            # A character may be cut in two: what is not whole waits for the next piece.
            left += read
            whole = left.decode("utf-8", "ignore")
            cut = left[len(whole.encode()) :]
            self.pieces.append((self.seconds, whole))
            left = cut

    def _piece(self) -> bytes:
        try:
            return os.read(self._master, CHUNK)
        except OSError:  # the command has ended
            return b""
