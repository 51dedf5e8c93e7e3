"""The few calls to the API server that the demo, the recording and the end-to-end tests need.

Plain dicts in and out.
"""

import json
from collections.abc import Iterator
from typing import Any

import urllib3
from kubernetes import client, config

Object = dict[str, Any]
FIELD_MANAGER = "rollouts-demo"
TIMEOUT = 30.0


class KubeError(Exception):
    """The API server refused a call or could not be reached;
    the message says which call and why.
    """


class Kube:
    """One connection to the cluster that KUBECONFIG names."""

    def __init__(self) -> None:
        try:
            config.load_kube_config()  # type: ignore[no-untyped-call]
        except config.ConfigException as missing:
            raise KubeError(
                f"No cluster: {missing} Run `make cluster` and export the KUBECONFIG it prints, or"
                " use `make demo`."
            ) from missing
        self._api = client.ApiClient()

    def get(self, path: str) -> Object | None:
        """The object at `path`; None where there is none."""
        return self._call("GET", path)

    def items(self, path: str, selector: str = "") -> list[Object]:
        """The objects of the collection at `path` that carry the labels `selector`."""
        found = self._call("GET", path, query=[("labelSelector", selector)] if selector else [])
        items: list[Object] = [] if found is None else found["items"]
        return items

    def watch(self, path: str, seconds: int = 3600) -> Iterator[Object]:
        """Events of the collection at `path`, first those of all that is there, until `seconds`
        are over or the server ends the stream. Raises KubeError.
        """
        query = [("watch", "true"), ("timeoutSeconds", str(seconds))]
        try:
            request = self._api.param_serialize(
                "GET", path, query_params=query, auth_settings=["BearerToken"]
            )
            response = self._api.call_api(*request, _request_timeout=(TIMEOUT, seconds + TIMEOUT))
            if response.status != 200:
                raise KubeError(f"GET {path}?watch: HTTP {response.status}")
            for line in response.response:
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise KubeError(f"GET {path}?watch: {event['object'].get('message')}")
                yield event
        except (OSError, ValueError, urllib3.exceptions.HTTPError, client.ApiException) as failure:
            raise KubeError(f"GET {path}?watch: {type(failure).__name__} {failure}") from failure

    def create(self, path: str, body: Object) -> Object:
        """Create `body` in the collection at `path`; raises KubeError where it exists already."""
        made = self._call("POST", path, body)
        if made is None:
            raise KubeError(f"POST {path}: not found; is the resource's definition installed?")
        return made

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply with strict validation; raises KubeError with the server's sentence
        where it is refused.
        """
        query = [("fieldManager", FIELD_MANAGER), ("force", "true"), ("fieldValidation", "Strict")]
        made = self._call("PATCH", path, body, query, "application/apply-patch+yaml")
        if made is None:
            raise KubeError(
                f"PATCH {path}: not found; does the namespace exist, and is the resource's"
                " definition installed?"
            )
        return made

    def delete(self, path: str) -> None:
        """Delete the object at `path` and, in the background, what it owns; one that is gone
        already is no error.
        """
        self._call("DELETE", path, {"propagationPolicy": "Background"})

    def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
    ) -> Object | None:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = self._api.param_serialize(
                method,
                path,
                query_params=query or [],
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._api.call_api(*request, _request_timeout=TIMEOUT)
            status, raw = int(response.status), bytes(response.read())  # type: ignore[no-untyped-call]
        except (OSError, urllib3.exceptions.HTTPError, client.ApiException) as failure:
            raise KubeError(f"{method} {path}: {type(failure).__name__} {failure}") from failure
        try:
            answer: Object = json.loads(raw)
        except ValueError as failure:
            raise KubeError(f"{method} {path}: HTTP {status}, not JSON") from failure
        if status == 404:
            return None
        if status >= 300:
            raise KubeError(f"{method} {path}: HTTP {status} {answer.get('message', '')}")
        return answer
