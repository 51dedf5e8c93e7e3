"""The only module that knows the Kubernetes client: kubeconfig with all its ways to log in, and a
few calls. Plain dicts in and out.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import urllib3
from kubernetes import client, config

from rollout_cli.api.answers import read_answer
from rollout_cli.api.kubernetes import Object, Query
from rollout_cli.exit_codes import Refused, Unreachable, WrongUsage

TIMEOUT = 10.0
SENT = 60.0
"""Seconds for what is sent to what is behind the API server."""
FIELD_MANAGER = "kubectl-modelrollout"
JSON = {"Content-Type": "application/json"}
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

# A kubeconfig that says insecure-skip-tls-verify has been asked about it once; kubectl does not nag
# either.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


class KubeClient:
    """A KubeApi, as the user of a kubeconfig or as a pod's service account."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api = api
        self.namespace: str = namespace

    @classmethod
    def connect(
        cls, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None
    ) -> "KubeClient":
        """Log in by `kubeconfig` (else KUBECONFIG, else ~/.kube/config, else as the pod that this
        runs in); exec plugins included.
        """
        # The client reads KUBECONFIG when it is imported, and never again.
        file = kubeconfig or os.environ.get("KUBECONFIG") or None
        try:
            contexts, active = config.list_kube_config_contexts(config_file=file)  # type: ignore[no-untyped-call]
        except config.ConfigException as missing:
            if kubeconfig is None and context is None and SERVICE_ACCOUNT_NAMESPACE.exists():
                return cls._in_cluster(namespace)
            raise WrongUsage(
                f"No cluster: {_said(missing)}. Set KUBECONFIG, or give --kubeconfig FILE."
            ) from missing
        if context is not None:
            known = {c["name"]: c for c in contexts}
            if context not in known:
                raise WrongUsage(
                    f"There is no context {context!r}: write one of {', '.join(sorted(known))}."
                )
            active = known[context]
        settings = client.Configuration()
        # Set before logging in: what a kubeconfig says wins.
        settings.retries = False
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=file,
                context=context,
                client_configuration=settings,
                persist_config=False,
            )
        except (config.ConfigException, OSError, KeyError) as failure:
            raise Refused(
                f"Could not log in to the cluster of context {active['name']!r}: {_said(failure)}."
            ) from failure
        return cls(
            client.ApiClient(settings), namespace or active["context"].get("namespace") or "default"
        )

    @classmethod
    def _in_cluster(cls, namespace: str | None) -> "KubeClient":
        settings = client.Configuration()
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        return cls(
            client.ApiClient(settings), namespace or SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
        )

    def get(self, path: str, query: Query | None = None) -> Object:
        """The object or list at `path`."""
        return self._object("GET", path, query=query)

    def items(self, path: str, selector: str = "") -> list[Object]:
        """The objects of a collection that carry the labels `selector`."""
        found: list[Object] = self.get(path, {"labelSelector": selector} if selector else None)[
            "items"
        ]
        return found

    def create(self, path: str, body: Object) -> Object:
        """POST `body`: for access reviews, which are questions."""
        return self._object("POST", path, body)

    def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch."""
        return self._object(
            "PATCH", path, body, {"fieldManager": FIELD_MANAGER}, "application/merge-patch+json"
        )

    def raw(
        self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of a GET, whatever they are:
        for what is behind the API server's proxy.
        """
        return self._call("GET", path, None, query, {**JSON, **(headers or {})})

    def send(self, path: str, body: Sequence[Object]) -> tuple[int, bytes]:
        """Status and body of a POST, whatever they are: for what is behind the API server's
        proxy.
        """
        with self._answering():
            response = self._send("POST", path, list(body), None, JSON, (TIMEOUT, SENT)).response
            return int(response.status), bytes(response.data)

    @contextmanager
    def stream(self, path: str, query: Query, timeout: float) -> Iterator[Iterator[bytes]]:
        """A GET whose body is read while it comes; `timeout` is between two pieces, in seconds.
        Raises as `get` does, and Unreachable where it breaks off.
        """
        with self._answering():
            response = self._send("GET", path, None, query, {}, (TIMEOUT, timeout)).response
        try:
            if response.status >= 300:
                read_answer(response.status, response.data, path)
            with self._answering():
                yield response.stream(None)
        finally:
            response.close()

    def _object(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: Query | None = None,
        content_type: str = "application/json",
    ) -> Object:
        status, raw = self._call(method, path, body, query, {"Content-Type": content_type})
        return read_answer(status, raw, path)

    def _call(
        self,
        method: str,
        path: str,
        body: Object | None,
        query: Query | None,
        headers: Mapping[str, str],
    ) -> tuple[int, bytes]:
        with self._answering():
            response = self._send(method, path, body, query, headers, TIMEOUT)
            return int(response.status), bytes(response.read())  # type: ignore[no-untyped-call]

    def _send(  # noqa: PLR0917
        self,
        method: str,
        path: str,
        body: Object | list[Object] | None,
        query: Query | None,
        headers: Mapping[str, str],
        timeout: float | tuple[float, float],
    ) -> client.rest.RESTResponse:
        request = self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json, */*", **headers},
            body=body,
            auth_settings=["BearerToken"],
        )
        return self._api.call_api(*request, _request_timeout=timeout)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, urllib3.exceptions.HTTPError, client.ApiException) as failure:
            raise Unreachable(
                f"The cluster {self._api.configuration.host} did not answer: {_said(failure)}."
            ) from failure


def _said(failure: BaseException) -> str:
    reason = getattr(failure, "reason", None)
    return (
        str(reason if isinstance(reason, Exception) else failure).strip().rstrip(".")[:400]
        or type(failure).__name__
    )
