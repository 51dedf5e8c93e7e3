"""Everything `decide` may know: one frozen value, gathered before and free of any client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollout_operator.domain.api.analysis import Metric
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status


@dataclass(frozen=True, slots=True)
class Resolved:
    """The registry has the version, READY, with its content digest."""

    uri: str
    version: str
    digest: str
    run: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The registry has no such model, version or alias."""

    message: str


@dataclass(frozen=True, slots=True)
class NotReady:
    """The version exists, but its registration has not ended well yet."""

    message: str


@dataclass(frozen=True, slots=True)
class DigestMissing:
    """The version has no recorded content digest, so no pod could verify what it loads."""

    message: str


@dataclass(frozen=True, slots=True)
class Unpinned:
    """The version is READY and carries no content digest: its files are looked at first."""

    uri: str
    version: str
    run: str = ""
    """The run that made it; "" where the registry has none."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What became of the pod that looks at the files of a version without a digest."""

    uri: str = ""
    """The version that it looks at; "" where there is no such pod."""
    ended: bool = False
    digest: str = ""
    """`sha256:<hex>` of the files; "" where it has not said so."""
    signature: str = ""
    """The model's inputs as JSON; "" where it has none, or they are too long."""
    trouble: str = ""
    """Why the model cannot be served, or, before the end, why the pod does not run."""
    known: tuple[str, int] | None = None
    """The pod's uid and resourceVersion, by which it is deleted."""


@dataclass(frozen=True, slots=True)
class RegistryUnreachable:
    """The registry did not answer."""

    message: str


Resolution = Resolved | NotFound | NotReady | DigestMissing | Unpinned | RegistryUnreachable


@dataclass(frozen=True, slots=True)
class Workload:
    """The Deployment of one revision as the cluster has it.

    ready: pods that are Ready; wanted: pods its spec asks for; trouble: what its pods say is wrong,
    "" if nothing; current: those of the Ready pods that are as the status asks, not of a former
    template; None where nobody looked.
    """

    ready: int
    wanted: int
    trouble: str = ""
    current: int | None = None

    @property
    def as_asked(self) -> int:
        """What `current` says; all that are Ready where nobody looked."""
        return self.ready if self.current is None else self.current


@dataclass(frozen=True, slots=True)
class Series:
    """The newest sample of one time series of one revision.

    at: Unix time of the sample in seconds, by Prometheus' clock; le: the bucket's upper bound, for
    histograms only; outcome: "correct" or "wrong", for labels only; first: the oldest value within
    the query's window; gap: seconds between the newest sample and the one before it, 0 where there
    is none within the window; job, instance: who was scraped.
    """

    name: str
    pod: str
    at: float
    value: float
    source: str = ""
    le: str = ""
    outcome: str = ""
    first: float = 0.0
    gap: float = 0.0
    job: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class MetricsUnreachable:
    """Prometheus gave no answer that can be used."""

    message: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A route of somebody else's on the same host and path of the same router.

    name: namespace/name; created: None for a canary Ingress, which takes its share whatever its
    age; of: the ModelRollout that owns it, "" for none.
    """

    kind: str
    name: str
    created: datetime | None
    of: str = ""

    def __str__(self) -> str:
        owner = f" of ModelRollout {self.of}" if self.of else ""
        return f"{self.kind} {self.name}{owner}"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back when a router was asked.

    said: what is wrong, with what was asked and what helps, "" where a pod of the rollout answered;
    reached: whether a router answered at all: where none does, the operator may only be kept from
    it.
    """

    said: str = ""
    reached: bool = True


DRAIN = timedelta(seconds=10)
"""How long a router may still send requests by an older weight: on busy machines a request in 350
came over 2 s late.
"""

Answer = tuple[Series, ...] | MetricsUnreachable


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at a rollout.

    spec is None where the object's spec cannot be read (then `spec_error` says why); resolution is
    None where it was not asked for; workloads are keyed by revision; stable_endpoints are the
    revisions with Ready endpoints behind the stable Service; route_trouble is what the router says
    against the route that requests come by as it was last written, "" where it follows or never
    says anything; unaccepted is what is said against the route that the spec asks for, "" where it
    was accepted; heard is what came back when that route was asked, None where it was not or cannot
    be: no address is published; claims are routes of nobody's on the same host and path; api_rejection is
    what the API server has for some time said against an object of the rollout, "" if nothing,
    api_rejection_now the same however short, and name_taken whether that is because another's object has its
    name; scaled is who else sets the number of a Deployment's pods, as a sentence; answers hold the
    candidate's series and baseline the stable revision's, as far as they were asked for; reported
    are attempts whose verdict the registry has been told since the status was written; image is the
    model server's image for new revisions; recovered is what the stable Service leads to where the
    status says nothing at all: somebody has removed it.
    """

    now: datetime
    uid: str
    name: str
    generation: int
    spec: Spec | None
    status: Status
    image: str
    spec_error: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)
    resolution: Resolution | None = None
    inspection: Inspection | None = None
    """Of the version in status.inspecting; None where nothing is inspected."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    stable_endpoints: frozenset[str] = frozenset()
    route_trouble: str = ""
    unaccepted: str = ""
    heard: Heard | None = None
    claims: tuple[Claim, ...] = ()
    api_rejection: str = ""
    api_rejection_now: str = ""
    name_taken: bool = False
    scaled: str = ""
    answers: Mapping[Metric, Answer] = field(default_factory=dict)
    baseline: Mapping[Metric, Answer] = field(default_factory=dict)
    reported: frozenset[int] = frozenset()
    drain: timedelta = DRAIN
    recovered: Revision | None = None
