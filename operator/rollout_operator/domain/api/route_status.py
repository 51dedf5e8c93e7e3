"""The ways by which requests come in, as status has them."""

from pydantic import Field

from rollout_operator.domain.api.api_types import ApiModel, Moment
from rollout_operator.domain.api.traffic import Provider
from rollout_operator.domain.api.words import Reason


class Route(ApiModel):
    """A way by which requests come in."""

    name: str = Field(max_length=64, description="Name of its Ingress or HTTPRoute.")
    provider: Provider
    """Its kind."""
    host: str = Field(max_length=253)
    """Of spec.traffic when it was asked for."""
    path: str = Field(max_length=256)
    """Prefix, of spec.traffic likewise."""
    ingress_class_name: str = Field("", max_length=63, description="Ingress: its class.")
    tls_secret: str | None = Field(
        None, max_length=253, description="Ingress: Secret with the host's certificate."
    )
    parents: tuple[str, ...] = Field(
        (), max_length=8, description="HTTPRoute: its Gateways, as name or name/listener."
    )
    since: Moment = Field(description="Since when the spec asks for it, or last did.")
    accepted_at: Moment | None = Field(
        None, description="When it was first found accepted; not set before."
    )
    seen_at: Moment | None = Field(
        None,
        description="When a request of the operator was first answered by it; not set without.",
    )


class Unrouted(ApiModel):
    """What a promoted rollout lacks: a route, as the spec asks for it, that was accepted, answers,
    and is not somebody else's.
    """

    since: Moment = Field(description="Since when it has not been there.")
    stalled: bool = Field(False, description="Whether it has lasted longer than progressDeadline.")
    accepted: bool = Field(False, description="Whether it was accepted, and only does not answer.")
    message: str = Field(
        max_length=1024, description="The same as a sentence, with what the router says."
    )

    @property
    def reason(self) -> Reason:
        """The same as a word."""
        return Reason.ROUTE_DOES_NOT_ANSWER if self.accepted else Reason.ROUTE_NOT_ACCEPTED
