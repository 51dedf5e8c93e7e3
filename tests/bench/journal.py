"""What the API server tells of one rollout while it happens: its routes and its phases, each with
the moment.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from scripts.demo.rollout import Rollout
from scripts.kube import Kube, KubeError, Object
from tests.bench.lags import Entered, Written
from tests.bench.routed import Router, share_of


class Journal:
    """Notes what a rollout's route says and which phases it enters, from entering until leaving the
    context.
    """

    def __init__(self, rollout: Rollout, router: Router) -> None:
        self.rollout, self.router = rollout, router
        self.written: list[Written] = []
        self.entered: list[Entered] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=work, name="journal", daemon=True)
            for work in (
                (router.routes.format(rollout.namespace), self._of_route),
                (rollout.path.rsplit("/", 1)[0], self._of_rollout),
            )
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """What comes later is not noted; the streams end by themselves."""
        self._ended.set()

    def _follow(self, collection: str, note: Callable[[str, Object], None]) -> None:
        kube = Kube()
        while not self._ended.is_set():
            try:
                for event in kube.watch(collection):
                    if self._ended.is_set():
                        return
                    note(event["type"], event["object"])
            except KubeError:
                time.sleep(0.5)  # a new stream begins with all that is there

    def _of_route(self, event: str, route: Object) -> None:
        name = self.rollout.name
        of_ingress = self.router.provider == "Ingress"
        if route["metadata"]["name"] != (f"{name}-canary" if of_ingress else name):
            return
        gone = event == "DELETED"
        revision, weight = (None if gone else share_of(name, route)) or (None, 0)
        if not self.written or self.written[-1][1:] != (revision, weight):
            self.written.append(Written(time.monotonic(), revision, weight))

    def _of_rollout(self, _: str, found: Object) -> None:
        phase = found.get("status", {}).get("phase", "")
        if phase and (not self.entered or self.entered[-1].phase != phase):
            self.entered.append(Entered(time.monotonic(), phase))
