"""What is said of a rollout's routes: by their routers, and of others on the same place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rollout_operator.domain.api.route_status import Route
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.traffic import Provider, Traffic
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.observed import Claim
from rollout_operator.domain.route import NO_INGRESS, NOT_YET, asked_for, leads, opened


@dataclass(frozen=True, slots=True)
class Ways:
    """What is said of the routes of one rollout."""

    name: str
    """The rollout's name."""
    traffic: Traffic
    """spec.traffic as it is now."""
    status: Status
    """As it was last written: its routes are the recorded ones."""
    there: Mapping[tuple[str, str], str]
    """What its router says against each Ingress and HTTPRoute that is there, by kind and name; ""
    for nothing.
    """
    claims: tuple[Claim, ...] = ()
    """What no rollout owns and claims the same host and path as the spec."""
    made: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """When each that is there was created."""
    rivals: tuple[Claim, ...] = ()
    """What other rollouts have there, though the place is this one's."""
    endpoints: frozenset[str] = frozenset()
    """Revisions with Ready endpoints behind the stable Service; "?" for pods of none."""

    def in_use(self) -> str:
        """What is said against the routes that requests come by, as they were last written; nothing
        of a first deploy's before its time.
        """
        if not opened(self.status):
            return ""
        if self.traffic.provider is Provider.NONE:
            return self._endpoints_lag()
        head, *former = self.status.routes or (None,)
        # As long as a new route is not accepted, requests come by the former ones.
        ways = former if head is not None and former and head.accepted_at is None else [head]
        said = [
            (
                self._said(way.provider, way.name)
                if way is not None
                else self._said(self.traffic.provider, self.name)
            )
            for way in ways
        ]
        if head is None or (ways == [head] and leads(head, self.traffic)):
            said.append(self._taken(head))
        # An Ingress that was accepted once has nobody who would say anything.
        return next(
            (s for s in said if s and not (s == NO_INGRESS and self.status.stable is not None)), ""
        )

    def asked_for(self, refused: str = "") -> str:
        """What is said against the route that the spec asks for; refused: what the API server says
        against any object, "" for nothing.
        """
        if not opened(self.status):
            return ""
        known = asked_for(self.traffic, self.status.routes)
        if self.traffic.provider is Provider.NONE:
            return ""
        if known is None and self.status.routes:
            return NOT_YET
        if taken := self._taken(known):
            return taken
        place = self.traffic.provider, known.name if known is not None else self.name
        if place not in self.there and known is not None and known.accepted_at is not None:
            # It is made again by this very look; where the API server does not have it, that is
            # said by itself.
            return ""
        said = self._said(*place)
        return (refused or said) if said else ""

    def _endpoints_lag(self) -> str:
        """How the endpoints of the Service, which divide connections in place of a router, differ
        from what the status asks of them; "" where they follow.
        """
        status = self.status
        if status.stable is None or status.candidate is None:
            return ""
        on_trial, name = status.candidate.revision, f"Service {self.name}"
        if 0 < status.weight < 100 and on_trial not in self.endpoints:
            return f"no pod of the candidate is an endpoint of {name} yet."
        if status.weight == 100 and (others := self.endpoints - {on_trial}):
            return f"{name} still has endpoints of {', '.join(sorted(others))}."
        if status.phase is Phase.ROLLING_BACK and on_trial in self.endpoints:
            return f"{name} still has endpoints of the candidate."
        return ""

    def _taken(self, known: Route | None) -> str:
        """What is said of routes of others that were there before ours; "" where there is none.

        Of two, routers serve the older one, and a canary takes its share from either: what requests
        show there is not about our model. The age is the object's own: it may have been made again
        since, or have been kept while the spec asked for another. What is not there yet is younger
        than all that is.
        """
        name = known.name if known is not None else self.name
        ours = self.made.get((self.traffic.provider, name))
        where = self.traffic.said
        # As long as there is one of nobody's, it is of no use that a rollout makes room.
        for claims, advice in (
            (self.claims, ", which is no ModelRollout's: take another host or path, or delete it."),
            (self.rivals, ": take another host or path, or have that one take another."),
        ):
            older = [
                str(c) for c in claims if c.created is None or ours is None or c.created <= ours
            ]
            if older:
                return f"{where} is answered by the older {', '.join(older)}{advice}"
        return ""

    def _said(self, provider: Provider, name: str) -> str:
        none = (
            NO_INGRESS
            if provider is Provider.INGRESS
            else "there is no HTTPRoute yet; is Gateway API installed in the cluster?"
        )
        return self.there.get((provider, name), none)
