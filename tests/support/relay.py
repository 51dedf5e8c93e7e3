"""A line between two programs that can be cut: TCP, whatever is said on it."""

import contextlib
import socket
import threading
from typing import Self

from scripts.cluster.apiserver import free_port

PIECE = 65536


class Relay:
    """Passes everything on to a port of this machine; `cut` ends all connections and refuses new
    ones, `mend` takes them again at the same port.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()

    def mend(self) -> None:
        """Take connections (again)."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """No connection goes on, and none is taken."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends, self._open = self._open, set()
        for end in (*ends, *([] if listener is None else [listener])):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                with self._lock:
                    is_cut = self._listener is not listener
                    if not is_cut:
                        self._open |= {near, far}
                if is_cut:
                    near.close()
                    far.close()
                    return
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open.discard(source)
        source.close()

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
