"""What is not answered: foreign names for this address, and commands of other sites."""

import pytest

from rollout_dashboard.settings import Settings
from rollout_dashboard.web_guard import POLICY, refusal

LOOPBACK = Settings(port=8091)
PUBLIC = Settings(host="0.0.0.0", public_url="https://rollouts.example.com")
HERE = {"host": "127.0.0.1:8091"}
OURS = {**HERE, "sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8091"}
AWAY = {"host": "rollouts.example.com"}

ANSWERED = {
    "a page": ("GET", HERE, LOOPBACK),
    "a page by the name localhost": ("GET", {"host": "localhost:8091"}, LOOPBACK),
    "a page by IPv6": ("GET", {"host": "[::1]:8091"}, LOOPBACK),
    "a link elsewhere that leads here": (
        "GET",
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        LOOPBACK,
    ),
    "a form of ours": ("POST", OURS, LOOPBACK),
    "a form in a browser without Sec-Fetch-Site": (
        "POST",
        {**HERE, "origin": "http://127.0.0.1:8091"},
        LOOPBACK,
    ),
    "a form at the public address": (
        "POST",
        {**AWAY, "origin": "https://rollouts.example.com"},
        PUBLIC,
    ),
    "kubectl port-forward to a public one": ("GET", {"host": "localhost:9999"}, PUBLIC),
}


@pytest.mark.parametrize(("method", "headers", "settings"), ANSWERED.values(), ids=ANSWERED)
def test_it_answers(method: str, headers: dict[str, str], settings: Settings) -> None:
    assert refusal(method, "/", headers, settings) == ""


REFUSED = {
    "a foreign name for this address": ("GET", {"host": "evil.example:8091"}, LOOPBACK),
    "another port": ("GET", {"host": "127.0.0.1:1"}, LOOPBACK),
    "no name": ("GET", {}, LOOPBACK),
    "a foreign name for the public one": ("GET", {"host": "evil.example"}, PUBLIC),
    "a name that begins like ours": (
        "GET",
        {"host": "rollouts.example.com.evil.example"},
        PUBLIC,
    ),
    "a script of another site that reads": (
        "GET",
        {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        LOOPBACK,
    ),
    "a script of another port that reads": (
        "GET",
        {**HERE, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        LOOPBACK,
    ),
    "a form of another site": ("POST", {**OURS, "sec-fetch-site": "cross-site"}, LOOPBACK),
    "a form of another port": ("POST", {**OURS, "sec-fetch-site": "same-site"}, LOOPBACK),
    "an origin that is not ours": ("POST", {**OURS, "origin": "http://evil.example"}, LOOPBACK),
    "an origin without a name": ("POST", {**HERE, "origin": "null"}, LOOPBACK),
    "no origin at all": ("POST", HERE, LOOPBACK),
    "another method from elsewhere": ("DELETE", HERE, LOOPBACK),
}


@pytest.mark.parametrize(("method", "headers", "settings"), REFUSED.values(), ids=REFUSED)
def test_it_refuses(method: str, headers: dict[str, str], settings: Settings) -> None:
    assert refusal(method, "/", headers, settings) != ""


def test_probes_of_the_kubelet_are_answered_by_whatever_name() -> None:
    assert refusal("GET", "/healthz", {"host": "10.0.0.7:8080"}, PUBLIC) == ""


@pytest.mark.parametrize("hole", ["unsafe", "*", "http:", "https:", "data:", "blob:"])
def test_the_policy_has_no(hole: str) -> None:
    assert hole not in POLICY
