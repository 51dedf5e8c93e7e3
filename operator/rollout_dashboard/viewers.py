"""Viewers: what each may see and do, as the API server says by his own token."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rollout_cli.api.kubernetes import Object, WatchingApi
from rollout_cli.exit_codes import Failure, Refused
from rollout_operator.domain.api.names import GROUP, PLURAL

RECHECK = 30.0
"""Seconds after which what a viewer may do is asked again."""
FORGET = 600.0
"""Seconds after which a viewer is forgotten who asks for nothing."""
MOST_NAMESPACES = 200
"""Namespaces that are asked for on behalf of a viewer who may not list them all."""
EVERYWHERE = ""
"""All namespaces."""

_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class TokenRefused(Refused):
    """The API server does not take the viewer's token any more."""


@dataclass(slots=True)
class Viewer:
    """One person, or what is the same here: one token."""

    key: str
    """A hash of the token."""
    api: WatchingApi
    """The API server as this viewer."""
    candidates: tuple[str, ...] = ()
    """Namespaces to ask for, where he may not list ModelRollouts in all; empty for those that he
    may list.
    """
    clock: Callable[[], float] = time.monotonic
    """Seconds."""
    used: float = 0.0
    """When he last asked for anything."""
    _name: str | None = None
    _scope: frozenset[str] = frozenset()
    _scope_at: float | None = None
    _may: dict[tuple[str, ...], tuple[float, bool]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def name(self) -> str:
        """His user name; "" where the API server does not say. Raises TokenRefused, Unreachable."""
        if self._name is None:
            body: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            try:
                said = self.api.create(_WHO, body)
                self._name = str(said["status"]["userInfo"].get("username", ""))
            except Failure as failure:
                _told(failure)
                if not isinstance(failure, Refused) and failure.status != 404:
                    raise
                self._name = ""
        return self._name

    def scope(self) -> frozenset[str]:
        """The namespaces whose ModelRollouts he may list: {""} for all. At most 30 s old. Raises
        TokenRefused, Unreachable.
        """
        with self._lock:
            if self._scope_at is None or self.clock() - self._scope_at > RECHECK:
                self._scope = self._ask_scope()
                self._scope_at = self.clock()
            return self._scope

    def sees(self, namespace: str) -> bool:
        """Whether he may list the ModelRollouts of this namespace."""
        scope = self.scope()
        return EVERYWHERE in scope or namespace in scope

    def may(self, verb: str, resource: str, namespace: str, group: str = "") -> bool:
        """Whether he may do this; at most 30 s old. Raises TokenRefused, Unreachable."""
        question = (verb, group, resource, namespace)
        with self._lock:
            known = self._may.get(question)
            if known is None or self.clock() - known[0] > RECHECK:
                known = (self.clock(), self._ask(*question))
                self._may[question] = known
            return known[1]

    def may_steer(self, namespace: str) -> bool:
        """Whether he may patch ModelRollouts there."""
        return self.may("patch", PLURAL, namespace, GROUP)

    def _ask_scope(self) -> frozenset[str]:
        if self._ask("list", GROUP, PLURAL, EVERYWHERE):
            return frozenset({EVERYWHERE})
        asked = self.candidates or self._namespaces()
        return frozenset(n for n in asked if self._ask("list", GROUP, PLURAL, n))

    def _namespaces(self) -> tuple[str, ...]:
        try:
            found = self.api.get("/api/v1/namespaces", {"limit": str(MOST_NAMESPACES)})["items"]
        except Refused as refused:
            _told(refused)
            return ()
        return tuple(str(item["metadata"]["name"]) for item in found)

    def _ask(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        body: Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            return bool(self.api.create(_REVIEW, body)["status"].get("allowed"))
        except Refused as refused:
            _told(refused)
            return False


class Viewers:
    """Those who were seen lately; safe for threads."""

    def __init__(
        self, connect: Callable[[str], WatchingApi], candidates: Iterable[str] = ()
    ) -> None:
        self._connect, self._candidates = connect, tuple(candidates)
        self._lock = threading.Lock()
        self._all: dict[str, Viewer] = {}

    def of(self, token: str, besides: frozenset[str] = frozenset()) -> Viewer:
        """The viewer with this token.

        besides: namespaces to ask for, too, that the viewer named himself.
        """
        key = hashlib.sha256("\n".join([token, *sorted(besides)]).encode()).hexdigest()
        now = time.monotonic()
        with self._lock:
            for old in [k for k, v in self._all.items() if now - v.used > FORGET]:
                del self._all[old]
            viewer = self._all.get(key)
            if viewer is None:
                asked = tuple(sorted({*self._candidates, *besides}))
                viewer = self._all[key] = Viewer(key, self._connect(token), asked)
            viewer.used = now
            return viewer


def _told(failure: Failure) -> None:
    """Raises TokenRefused where the failure says that nobody knows the token."""
    if failure.status == 401:
        raise TokenRefused(
            "The cluster does not take your token any more: log in again."
        ) from failure
