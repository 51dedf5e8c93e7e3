"""The ways by which requests come in, as status has them."""

from pydantic import Field

from rollout_operator.domain.api.api_types import ApiModel, Moment
from rollout_operator.domain.api.traffic import Provider, names
from rollout_operator.domain.api.words import Phase, Reason


class Route(ApiModel):
    """A way by which requests come in."""

    name: str = Field(max_length=64, description="Name of its Ingress or HTTPRoute.")
    provider: Provider
    """Its kind."""
    host: str = Field("", max_length=253)
    """The first host name, of spec.traffic when it was asked for."""
    hosts: tuple[str, ...] = Field((), max_length=16, description="Its other host names.")
    leaving: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="Host names that the spec asks for no more, as long as they still answer.",
    )
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

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it was asked for."""
        return names(self.host, self.hosts)

    @property
    def answered(self) -> tuple[str, ...]:
        """The host names that it answers on, with those that leave."""
        return names(self.host, (*self.hosts, *self.leaving))

    @property
    def said(self) -> str:
        """What it is, for sentences: its kind, and where it answers."""
        if self.provider is Provider.NONE:
            return f"Service {self.name}"
        return f"{self.provider} {', '.join(f'{name}{self.path}' for name in self.answered)}"


class Drain(ApiModel):
    """A wait for routers, until no request came by an older weight any more; or a step of all
    requests, which showed the same.
    """

    phase: Phase = Field(description="The phase that waited; Trial for the step of all requests.")
    seconds: float = Field(description="How long it took.")
    known: bool = Field(
        description=(
            "Whether requests of the operator showed it; else it was a fixed time, or as long as"
            " routers lagged in Shifting, or in the step of all requests, and 5 s."
        )
    )
    answers: int = Field(
        0, description="Those requests in a row that were answered as the phase asks."
    )
    lag: float | None = Field(
        None, description="Seconds until the first of them: how far the router lagged behind."
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
