"""Sessions end; the one-time secret is good for one."""

import pytest

from rollout_dashboard import sessions
from rollout_dashboard.sessions import IDLE, LONGEST, OneTimeSecret, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_found_by_its_cookie_until_it_is_ended() -> None:
    kept = Sessions()
    session = kept.begin("token")
    assert kept.find(session.id) is session
    kept.end(session)
    assert kept.find(session.id) is None


@pytest.mark.parametrize("cookie", ["", "x", "../../etc/passwd"])
def test_another_cookie_finds_none(cookie: str) -> None:
    kept = Sessions()
    kept.begin("token")
    assert kept.find(cookie) is None


def test_a_session_that_nobody_uses_is_over() -> None:
    clock = Clock()
    kept = Sessions(clock)
    session = kept.begin("token")
    clock.now = IDLE + 1
    assert kept.find(session.id) is None


def test_a_session_that_is_used_is_over_all_the_same_in_the_end() -> None:
    clock = Clock()
    kept = Sessions(clock)
    session = kept.begin("token")
    while clock.now + IDLE / 2 <= LONGEST:
        clock.now += IDLE / 2
        assert kept.find(session.id) is session
    clock.now += IDLE / 2
    assert kept.find(session.id) is None


def test_sessions_are_bounded_and_the_least_used_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    kept = Sessions()
    first, second = kept.begin(), kept.begin()
    kept.find(first.id)
    kept.begin()
    assert kept.find(first.id) is first
    assert kept.find(second.id) is None


def test_nothing_secret_is_in_what_a_log_would_say() -> None:
    session = Sessions().begin("the-token")
    assert all(s not in repr(session) for s in ("the-token", session.id, session.csrf))


def test_the_secret_opens_once() -> None:
    secret = OneTimeSecret()
    code = secret.code
    assert not secret.take("")
    assert not secret.take(code[:-1])
    assert secret.take(code)
    assert not secret.take(code)
    assert secret.code == ""
