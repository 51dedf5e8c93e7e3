"""Annotations of routes: which ones a ModelRollout may write, and which all routes get.

They tell controllers beside a route what to do with it (cert-manager, external-dns), and routers
how to serve it. Some of nginx's put text into its configuration, and some would undo a trial: those
are refused whatever the configuration allows.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field, TypeAdapter, field_validator

from rollout_operator.domain.api.api_types import QUALIFIED, ApiModel
from rollout_operator.domain.api.names import GROUP
from rollout_operator.domain.api.traffic import LONGEST_ANNOTATION, MOST_ANNOTATIONS
from rollout_operator.domain.configured import from_json, is_for

EXAMPLE = '{"allowed": ["cert-manager.io/*"], "defaults": {"cert-manager.io/issuer": "company"}}'
NGINX = "nginx.ingress.kubernetes.io/"
CANARY = f"{NGINX}canary"
NEVER: Mapping[str, str] = {
    f"{GROUP}/*": "the operator's own",
    f"{CANARY}*": "by which the operator splits requests",
    f"{NGINX}*-snippet": "which puts text into the router's configuration, for all hosts",
    f"{NGINX}affinity*": "with which visitors of stable would never come to a candidate",
    f"{NGINX}session-cookie*": "with which visitors of stable would never come to a candidate",
    "traefik.ingress.kubernetes.io/service.sticky*": (
        "with which visitors of stable would never come to a candidate"
    ),
    f"{NGINX}server-alias": "with which other hosts would be answered, too",
    f"{NGINX}from-to-www-redirect": "with which other hosts would be answered, too",
    f"{NGINX}permanent-redirect*": "with which requests would go elsewhere",
    f"{NGINX}temporal-redirect*": "with which requests would go elsewhere",
    f"{NGINX}app-root": "with which requests would go elsewhere",
    f"{NGINX}default-backend": "with which requests would go elsewhere",
    f"{NGINX}mirror-*": "with which copies of requests would go elsewhere",
    f"{NGINX}upstream-vhost": "with which another host would be asked",
    f"{NGINX}rewrite-target": "with which requests would come by another path",
    f"{NGINX}use-regex": "with which the path would be a pattern",
    "kubernetes.io/ingress.class": "which spec.traffic.ingressClassName says",
    "kubectl.kubernetes.io/*": "which kubectl writes",
}
"""Patterns of annotations that no configuration allows, and why.

Source for nginx's: kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations.
"""

_Key = Annotated[str, Field(pattern=QUALIFIED, max_length=317)]
_Value = Annotated[str, Field(max_length=LONGEST_ANNOTATION)]


class RouteAnnotations(ApiModel, extra="forbid"):
    """What the operator's configuration says of them. By default none is allowed."""

    allowed: tuple[str, ...] = Field((), max_length=100)
    """Patterns (`cert-manager.io/*`) of those that a ModelRollout may write."""
    defaults: Mapping[_Key, _Value] = Field(default_factory=dict, max_length=MOST_ANNOTATIONS)
    """What every route gets; a ModelRollout's own value goes over it where it is allowed."""

    @field_validator("defaults")
    @classmethod
    def _harmless(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        for name in given:
            if why := never(name):
                raise ValueError(f"{name} cannot be a default: it is one {why}")
        return given

    def of(self, asked: Mapping[str, str]) -> Mapping[str, str]:
        """The annotations of a route for which a ModelRollout asks for these. Raises LookupError
        with the first one that it may not write.
        """
        for name in asked:
            if not re.fullmatch(QUALIFIED, name):
                raise LookupError(
                    f"spec.traffic.annotations: {name!r} is no name of an annotation: write one"
                    " such as cert-manager.io/cluster-issuer."
                )
            if why := never(name):
                raise LookupError(f"spec.traffic.annotations: {name} is one {why}: leave it out.")
            if not is_for(name, self.allowed):
                known = ", ".join(self.allowed) or "none"
                raise LookupError(
                    f"spec.traffic.annotations: {name} is not allowed here: leave it out, or have"
                    f" the operator's configuration allow it (routes.annotations.allowed: {known})."
                )
        return {**self.defaults, **asked}


NO_ANNOTATIONS = RouteAnnotations()
_READER = TypeAdapter(RouteAnnotations)


def never(name: str) -> str:
    """Why no configuration allows this annotation; "" where one may."""
    return next((why for pattern, why in NEVER.items() if fnmatchcase(name, pattern)), "")


def route_annotations(text: str) -> RouteAnnotations:
    """What ROUTE_ANNOTATIONS says, a JSON object; nothing for "". Raises ValueError."""
    if not text.strip():
        return NO_ANNOTATIONS
    return from_json("ROUTE_ANNOTATIONS", text, dict, _READER, EXAMPLE)
