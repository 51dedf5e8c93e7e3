"""The hub: one list and watch of ModelRollouts for all viewers who may read the same.

A place is all namespaces, or one of them. Each place that somebody looks at has one watcher; it
asks by the token of one of the viewers who may read that place. A watch is short, so that a token
is soon found out that is no longer taken: then another viewer's is used. What comes back is shown
to those alone of whom the API server has lately said that they may read it, each by his own token
(viewers.py).
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rollout_cli.api.kubernetes import Object, rollouts_path
from rollout_cli.api.rollout import NOT_INSTALLED, Rollout
from rollout_cli.exit_codes import Absent, Failure, Refused
from rollout_dashboard.rows import Row
from rollout_dashboard.viewers import EVERYWHERE, Viewer

LIST_LIMIT = 200
"""Objects of one answer; so many are in memory at a time."""
WATCH = 50
"""Seconds of one watch."""
SILENCE = 20.0
"""Seconds that a watch may be silent beyond its end."""
KEPT = 60.0
"""Seconds that a place is watched on, after the last viewer has left."""
SLOWEST_RETRY = 5.0
"""Seconds between two tries to reach the API server, at most."""
GONE = 410

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Place:
    """What is watched for those who may read it."""

    namespace: str
    """"" for all."""
    rows: dict[str, Row] = field(default_factory=dict)
    """By NAMESPACE/NAME."""
    ready: threading.Event = field(default_factory=threading.Event)
    """Set once it was listed, or it was found out why not."""
    trouble: str = ""
    """Why it is not live; "" where it is."""
    lost_since: float | None = None
    """Since when it is not, by the wall clock."""
    viewers: dict[str, tuple[Viewer, float]] = field(default_factory=dict)
    """Those who lately looked, by key, and when."""
    refused: set[str] = field(default_factory=set)
    """Keys of those whose token was refused."""
    thread: threading.Thread | None = None
    """Its watcher."""


class Hub:
    """All places; safe for threads. Listeners are told in their own event loop."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._places: dict[str, Place] = {}
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._closed = threading.Event()
        self.version = 0
        """Grows with every change."""

    def look(self, viewer: Viewer, wait: float = 0.0) -> None:
        """See to it that what this viewer may read is watched; wait so many seconds for the first
        list. Raises TokenRefused, Unreachable.
        """
        now = time.monotonic()
        places = []
        for namespace in viewer.scope():
            with self._lock:
                place = self._places.setdefault(namespace, Place(namespace))
                place.viewers[viewer.key] = (viewer, now)
                place.refused.discard(viewer.key)
                if place.thread is None:
                    place.thread = threading.Thread(
                        target=self._watch, args=(place,), name=f"watch {namespace}", daemon=True
                    )
                    place.thread.start()
            places.append(place)
        end = now + wait
        for place in places:
            place.ready.wait(max(0.0, end - time.monotonic()))

    def rows(self, viewer: Viewer) -> list[Row]:
        """All rollouts that this viewer may read. Raises TokenRefused, Unreachable."""
        scope = viewer.scope()
        with self._lock:
            return [
                row
                for namespace in scope
                if (place := self._places.get(namespace)) is not None
                for row in place.rows.values()
            ]

    def row(self, viewer: Viewer, rollout: str) -> Row | None:
        """The row of NAMESPACE/NAME, where this viewer may read it."""
        for namespace in viewer.scope():
            with self._lock:
                place = self._places.get(namespace)
                if place is not None and (row := place.rows.get(rollout)) is not None:
                    return row
        return None

    def trouble(self, viewer: Viewer) -> str:
        """Why what he sees is not live; "" where it is."""
        for namespace in viewer.scope():
            place = self._places.get(namespace)
            if place is not None and place.trouble:
                return place.trouble
        return ""

    def reads_first(self, viewer: Viewer) -> bool:
        """Whether something that he may read has not been listed yet."""
        with self._lock:
            places = [self._places.get(namespace) for namespace in viewer.scope()]
        return any(place is None or not place.ready.is_set() for place in places)

    def listen(self, changed: asyncio.Event) -> None:
        """From now on this is set at every change; called in its event loop."""
        with self._lock:
            self._listeners[changed] = asyncio.get_running_loop()

    def leave(self, changed: asyncio.Event) -> None:
        """No longer."""
        with self._lock:
            self._listeners.pop(changed, None)

    def close(self) -> None:
        """Watches end by themselves; nothing is begun any more."""
        self._closed.set()
        self._tell()

    @property
    def closed(self) -> bool:
        """Whether the program ends."""
        return self._closed.is_set()

    def _tell(self) -> None:
        with self._lock:
            self.version += 1
            listeners = list(self._listeners.items())
        for changed, loop in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)

    def _watch(self, place: Place) -> None:
        pause, version = 0.2, ""
        while not self._closed.is_set() and (viewer := self._reader(place)) is not None:
            try:
                if not version:
                    version = self._list(place, viewer)
                    self._mend(place)
                    pause = 0.2
                version = self._follow(place, viewer, version)
                self._mend(place)
            except _Expired:
                version = ""
            except Refused as refused:
                with self._lock:
                    place.refused.add(viewer.key)
                if self._reader(place) is None:
                    self._lose(place, str(refused))
            except Failure as failure:
                said = NOT_INSTALLED if isinstance(failure, Absent) else str(failure)
                self._lose(place, said)
                self._closed.wait(pause)
                pause = min(SLOWEST_RETRY, pause * 2)
            except Exception:
                _log.exception("The watch of %s", place.namespace or "all namespaces")
                self._lose(place, "The dashboard could not read a ModelRollout: see its log.")
                self._closed.wait(SLOWEST_RETRY)
                version = ""

    def _reader(self, place: Place) -> Viewer | None:
        """One of those who look, whose token was not refused; None ends the watcher."""
        now = time.monotonic()
        with self._lock:
            place.viewers = {k: v for k, v in place.viewers.items() if now - v[1] <= KEPT}
            for key, (viewer, _) in place.viewers.items():
                if key not in place.refused:
                    return viewer
            place.thread = None
            if not place.viewers:
                self._places.pop(place.namespace, None)
            return None

    def _list(self, place: Place, viewer: Viewer) -> str:
        """List anew; returns the resourceVersion to watch from."""
        rows, query = dict[str, Row](), {"limit": str(LIST_LIMIT)}
        path = rollouts_path(place.namespace)
        while True:
            answer = viewer.api.get(path, query)
            for raw in answer["items"]:
                if (row := _row(raw)) is not None:
                    rows[row.id] = row
            meta = answer["metadata"]
            if not meta.get("continue"):
                break
            query["continue"] = meta["continue"]
        with self._lock:
            place.rows = rows
        self._tell()
        return str(meta["resourceVersion"])

    def _follow(self, place: Place, viewer: Viewer, version: str) -> str:
        """One watch; returns the resourceVersion to go on from."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH),
        }
        with viewer.api.stream(rollouts_path(place.namespace), query, WATCH + SILENCE) as pieces:
            self._mend(place)
            for event in events(pieces):
                if self._closed.is_set():
                    break
                raw = event["object"]
                if event["type"] == "ERROR":
                    if raw.get("code") == GONE:
                        raise _Expired
                    raise Refused(f"The watch was refused: {raw.get('message', '')}")
                version = str(raw["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    self._take(place, event["type"], raw)
        return version

    def _take(self, place: Place, kind: str, raw: Object) -> None:
        with self._lock:
            if kind == "DELETED":
                place.rows.pop(f"{raw['metadata']['namespace']}/{raw['metadata']['name']}", None)
            elif (row := _row(raw)) is not None:
                place.rows[row.id] = row
        self._tell()

    def _lose(self, place: Place, why: str) -> None:
        with self._lock:
            place.trouble = why
            place.lost_since = place.lost_since or time.time()
        place.ready.set()
        self._tell()

    def _mend(self, place: Place) -> None:
        with self._lock:
            was_lost, place.trouble, place.lost_since = bool(place.trouble), "", None
        place.ready.set()
        if was_lost:
            self._tell()


class _Expired(Exception):
    """The API server has forgotten that resourceVersion: list anew."""


def events(pieces: Iterable[bytes]) -> Iterator[Object]:
    """The events of a watch: one JSON document a line, in pieces of any length."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _row(raw: Object) -> Row | None:
    """None for one that this version cannot read: one such object hides no other."""
    try:
        return Row.of(Rollout.of(raw))
    except Failure as failure:
        _log.warning("%s: %s", raw["metadata"].get("name"), failure)
        return None


__all__ = ["EVERYWHERE", "Hub", "Place", "events"]
