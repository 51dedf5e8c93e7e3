"""What a viewer may is what the API server says by his own token, and not for long."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from rollout_cli.api.answers import failure_of
from rollout_dashboard.viewers import RECHECK, TokenRefused, Viewer, Viewers

Object = dict[str, Any]


class Rights:
    """An API server that lets its user list ModelRollouts in some namespaces, and list those."""

    namespace = ""

    def __init__(self, *places: str, names: tuple[str, ...] | None = ()) -> None:
        self.places, self.names, self.known, self.asked = set(places), names, True, 0

    def create(self, path: str, body: Object) -> Object:
        self.asked += 1
        if not self.known:
            raise failure_of(401, "Unauthorized")
        if path.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": "anna"}}}
        asked = body["spec"]["resourceAttributes"]
        assert asked["group"] == "rollouts.mlops.dev"
        return {"status": {"allowed": asked["namespace"] in self.places}}

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        if self.names is None:
            raise failure_of(403, "namespaces is forbidden")
        return {"items": [{"metadata": {"name": name}} for name in self.names]}

    def items(self, path: str, selector: str = "") -> list[Object]:
        raise AssertionError(path)

    def patch(self, path: str, body: Object) -> Object:
        raise AssertionError(path)

    def raw(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        raise AssertionError(path)

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, str], timeout: float
    ) -> Iterator[Iterator[bytes]]:
        raise AssertionError(path)
        yield iter(())


SCOPES: dict[str, tuple[Rights, tuple[str, ...], set[str]]] = {
    "all namespaces": (Rights("", "a"), (), {""}),
    "those that he may list, of all": (Rights("a", "c", names=("a", "b", "c")), (), {"a", "c"}),
    "none, where he may list no namespaces": (Rights("a", names=None), (), set()),
    "those of the configuration": (Rights("a", names=None), ("a", "b"), {"a"}),
    "nothing": (Rights(names=("a", "b")), (), set()),
}


@pytest.mark.parametrize(("rights", "candidates", "expected"), SCOPES.values(), ids=SCOPES)
def test_a_viewer_sees(rights: Rights, candidates: tuple[str, ...], expected: set[str]) -> None:
    assert Viewer("key", rights, candidates).scope() == expected


def test_rights_are_asked_for_again_and_not_each_time() -> None:
    rights, now = Rights(""), [0.0]
    viewer = Viewer("key", rights, clock=lambda: now[0])
    assert viewer.sees("a")
    assert viewer.sees("b")
    assert rights.asked == 1
    rights.places.clear()
    now[0] = RECHECK + 1
    assert not viewer.sees("a")


ASKS: dict[str, Callable[[Viewer], object]] = {
    "what he sees": Viewer.scope,
    "who he is": Viewer.name,
    "what he may": lambda viewer: viewer.may_steer("a"),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_token_that_is_not_taken_is_told_whatever_is_asked(
    ask: Callable[[Viewer], object],
) -> None:
    rights = Rights("")
    rights.known = False
    with pytest.raises(TokenRefused, match="log in again"):
        ask(Viewer("key", rights))


def test_one_token_is_one_viewer_and_another_token_is_another() -> None:
    viewers = Viewers(lambda _: Rights(""))
    assert viewers.of("a") is viewers.of("a")
    assert viewers.of("a") is not viewers.of("b")
    assert "a-token" not in repr(viewers.of("a-token").key)
