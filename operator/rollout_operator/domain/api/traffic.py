"""Where requests for a model come in: the part of the spec that routers are made from."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from rollout_operator.domain.api.api_types import (
    NAME,
    ApiModel,
    Duration,
    cel,
    rule,
    rules,
)

PATH = "^/[A-Za-z0-9._~/-]*$"
TAKEN = "/v2/models(/[^/]+/versions)?/?$"
"""Ends of paths below which the model server takes any next segment for a model or a version, as
rollout_inference.api.prefix does.
"""


MOST_WEIGHT = 50
"""Percent, of a split without a router: a candidate has at most as many pods as stable."""
MOST_HOSTS = 15
"""Host names beside the first: an HTTPRoute takes 16 in all."""
LONGEST_ANNOTATION = 4096
"""Characters of an annotation's value."""
MOST_ANNOTATIONS = 32


class Provider(StrEnum):
    """What splits the requests: a kind of router, or none but the Service."""

    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"
    NONE = "None"


class ParentRef(ApiModel):
    """A Gateway that the HTTPRoute attaches to, in the namespace that the operator's configuration
    names (else the rollout's own).
    """

    name: str = Field(
        max_length=253,
        description="The Gateway's name.",
        json_schema_extra=cel(
            f"self.matches('{NAME}')", "write the name of a Gateway, such as public"
        ),
    )
    section_name: str | None = Field(
        None,
        max_length=253,
        description="One listener of the Gateway; all of them where it is left out.",
        json_schema_extra=cel(
            f"self.matches('{NAME}')", "write the name of a listener of the Gateway, such as https"
        ),
    )

    @property
    def said(self) -> str:
        """As status has it: name, or name/listener."""
        return f"{self.name}/{self.section_name}" if self.section_name else self.name


def parent(said: str) -> tuple[str, str]:
    """Name and listener ("" for all) of the Gateway that `said` is of."""
    name, _, listener = said.partition("/")
    return name, listener


_HOST = (
    (f"self.matches('{NAME}')", "write a lower-case host name such as iris.example.com"),
    (
        "!self.matches('^[0-9.]+$')",
        "an Ingress takes no address: write a host name such as iris.example.com",
    ),
)
TRAFFIC_RULES = [
    rule(
        "self.provider == 'None' || has(self.host) || (has(self.hosts) && size(self.hosts) > 0)",
        "requests need a name to come in by: write host: iris.example.com, or provider: None for"
        " callers inside the cluster only",
    ),
    rule(
        "self.provider != 'None' || !(has(self.host) || (has(self.hosts) && size(self.hosts) > 0)"
        " || has(self.annotations) || has(self.tlsSecret) || self.path != '/')",
        "provider: None makes no route: leave out host, hosts, path, tlsSecret and annotations, or"
        " write another provider",
    ),
    rule(
        "!has(self.hosts) || self.hosts.all(h, self.hosts.exists_one(o, o == h) &&"
        " !(has(self.host) && self.host == h))",
        "a host stands there twice: write each once, in host or in hosts",
    ),
    rule(
        "self.provider != 'HTTPRoute' || (has(self.parentRefs) && size(self.parentRefs) > 0)",
        "provider: HTTPRoute needs the Gateway that it attaches to: write parentRefs: [{name:"
        " <gateway>}]",
    ),
    rule(
        "self.provider == 'HTTPRoute' || !has(self.parentRefs) || size(self.parentRefs) == 0",
        "parentRefs belong to provider: HTTPRoute: leave them out, or write provider: HTTPRoute",
    ),
    rule(
        "self.provider == 'HTTPRoute' || !has(self.mirrorPercent)",
        "only a Gateway mirrors requests: leave mirrorPercent out, or write provider: HTTPRoute",
    ),
    rule(
        "self.provider != 'HTTPRoute' || !has(self.tlsSecret)",
        "the Gateway's listener holds the certificate of an HTTPRoute: leave tlsSecret out and set"
        " tls on the Gateway",
    ),
]


class Traffic(ApiModel, json_schema_extra={"x-kubernetes-validations": TRAFFIC_RULES}):
    """Where requests for the model come in."""

    provider: Provider = Field(
        Provider.INGRESS,
        description=(
            "The router: Ingress (nginx canary annotations), HTTPRoute (Gateway API), or None, for"
            " callers inside the cluster: the Service of the rollout's name divides connections by"
            " the number of pods."
        ),
    )
    host: str | None = Field(
        None,
        max_length=253,
        description="The host name that the model answers on.",
        json_schema_extra=rules(*_HOST),
    )
    hosts: tuple[Annotated[str, Field(max_length=253, json_schema_extra=rules(*_HOST))], ...] = (
        Field(
            (),
            max_length=MOST_HOSTS,
            description="More host names that it answers on, by the same route.",
        )
    )
    path: str = Field(
        "/",
        max_length=256,
        description="The path prefix that the model answers on.",
        json_schema_extra=rules(
            (
                f"self.matches('{PATH}')",
                "write a path that starts with / and holds letters, digits and . _ ~ / - only",
            ),
            (
                "!self.matches('//|/[.][.]?(/|$)')",
                "write a path without // and without segments . or ..",
            ),
            (
                f"!self.matches('{TAKEN}')",
                (
                    "below /v2/models the model server names models, and finds no route: write"
                    " another path"
                ),
            ),
        ),
    )
    ingress_class_name: str = Field(
        "nginx",
        max_length=63,
        description="The IngressClass of both Ingresses.",
        json_schema_extra=cel(
            f"self.matches('{NAME}')", "write the name of an IngressClass, such as nginx"
        ),
    )
    tls_secret: str | None = Field(
        None,
        max_length=253,
        description=(
            "Ingress: Secret of type kubernetes.io/tls, beside the rollout, with the host's"
            " certificate."
        ),
        json_schema_extra=cel(
            f"self.matches('{NAME}')",
            "write the name of a Secret in this namespace, such as iris-tls",
        ),
    )
    annotations: dict[str, Annotated[str, Field(max_length=LONGEST_ANNOTATION)]] = Field(
        default_factory=dict,
        max_length=MOST_ANNOTATIONS,
        description=(
            "Annotations of the host's route, such as cert-manager.io/cluster-issuer: those that"
            " the operator's configuration allows."
        ),
    )
    parent_refs: tuple[ParentRef, ...] = Field(
        (), max_length=8, description="HTTPRoute: the Gateways that it attaches to."
    )
    mirror_percent: int | None = Field(
        None,
        description=(
            "HTTPRoute: share of the requests of which the candidate on trial also gets a copy,"
            " whose answer is thrown away."
        ),
        json_schema_extra=cel(
            "self >= 1 && self <= 100",
            "mirrorPercent is a percentage: write a whole number from 1 to 100",
        ),
    )
    removal_delay: Duration = Field(
        Duration("5m"),
        description=(
            "Where host, path, class or provider change: how long the former route is kept after"
            " the new one was accepted."
        ),
    )

    @property
    def names(self) -> tuple[str, ...]:
        """All host names, as they were written."""
        return names(self.host, self.hosts)

    @property
    def said(self) -> str:
        """Where the model answers, for sentences: host and path, of each host."""
        return ", ".join(f"{name}{self.path}" for name in self.names)


def names(host: str | None, hosts: Iterable[str]) -> tuple[str, ...]:
    """The host names of a route, each once; empty for none."""
    return tuple(dict.fromkeys(name for name in (host, *hosts) if name))
