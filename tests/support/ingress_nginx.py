"""ingress-nginx 1.15.1 as it was measured (2026-11-29, its real binary under the operator's own
Ingresses): what it sends where, what its admission webhook refuses, how long it lags.

Its repository is archived and cannot be built here, so this stands for it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]
SLOWEST = 4.3
"""Seconds until the last request by what objects said before: it syncs at most once in 3.33 s, each
worker looks once a second, each on its own clock."""
NOBODY = "503"
ANNOTATION = "nginx.ingress.kubernetes.io/canary"
PATHS = re.compile(r"/[A-Za-z0-9._/-]*")
"""What it takes with pathType Prefix."""
WORDS = re.compile(r"/etc/nginx|/var/run/secrets|_by_lua")
"""What it refuses anywhere in a path."""


def place(ingress: Object) -> tuple[str, str]:
    """Host and path of an Ingress of one rule."""
    return next(_places(ingress))


def _places(ingress: Object) -> Iterator[tuple[str, str]]:
    for rule in ingress["spec"]["rules"]:
        yield rule["host"], rule["http"]["paths"][0]["path"]


def _backend(ingress: Object) -> str:
    name: str = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
    return name


def _annotations(ingress: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = ingress["metadata"].get("annotations") or {}
    return found


def is_canary(ingress: Object) -> bool:
    return _annotations(ingress).get(ANNOTATION) == "true"


def refused(ingress: Object, there: Mapping[str, Object]) -> str:
    """Why the admission webhook refuses an Ingress beside those by name; "" where it takes it."""
    _, path = place(ingress)
    if not PATHS.fullmatch(path):
        return f"ingress contains invalid paths: path {path} cannot be used with pathType Prefix"
    if WORDS.search(path):
        return f"path {path} contains invalid words"
    if is_canary(ingress):
        return ""
    name = ingress["metadata"]["name"]
    for other in there.values():
        if is_canary(other) or other["metadata"]["name"] == name:
            continue
        for host, path in {*_places(ingress)} & {*_places(other)}:
            return f'host "{host}" and path "{path}" is already defined in ingress'
    return ""


def shares(
    ingresses: Mapping[str, Object],
    endpoints: Mapping[str, frozenset[str]],
    at: tuple[str, str],
    header: str = "",
) -> dict[str, int]:
    """Who answers a request to this host and path, in percent: names of Services, or NOBODY.

    ingresses: by name, the oldest first; endpoints: of each Service whose pods are Ready; header:
    the value of the one that the canary names, "" for none.
    """
    here = [i for i in ingresses.values() if place(i) == at]
    owner = next((i for i in here if not is_canary(i)), None)
    canary = next((i for i in here if is_canary(i)), None)
    if owner is None or not endpoints.get(stable := _backend(owner)):
        # However healthy the candidate is.
        return {NOBODY: 100}
    if canary is None or not endpoints.get(candidate := _backend(canary)):
        return {stable: 100}
    said = _annotations(canary)
    chosen = said.get(f"{ANNOTATION}-by-header-value")
    weight = 100 if chosen and header == chosen else int(said.get(f"{ANNOTATION}-weight", "0"))
    split = {stable: 100 - weight, candidate: weight}
    return {service: percent for service, percent in split.items() if percent}


def answering(
    ingresses: Mapping[str, Object],
    services: Mapping[str, Object],
    ready: frozenset[str],
    at: tuple[str, str],
    revision: str,
) -> Iterator[str]:
    """The revisions that can get a request, by weight or by header; NOBODY where it gets 503.

    revision: the label by which Services select pods; ready: the revisions that have Ready pods.
    """
    selected = {name: s["spec"]["selector"][revision] for name, s in services.items()}
    endpoints = {name: frozenset({r} & ready) for name, r in selected.items()}
    for header in ("", "true"):
        for service in shares(ingresses, endpoints, at, header):
            yield service if service == NOBODY else selected[service]
