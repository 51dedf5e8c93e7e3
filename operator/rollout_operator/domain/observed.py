"""Everything `decide` may know: one frozen value, gathered before and free of any client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rollout_operator.domain.api.differences import Difference
from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Revision, Status
from rollout_operator.domain.outbox import Outbox
from rollout_operator.domain.profiles import Chosen
from rollout_operator.domain.promotion_proof import ProofDemand
from rollout_operator.domain.windows import NEVER, Freeze


@dataclass(frozen=True, slots=True)
class Resolved:
    """The registry has the version, READY, with its content digest."""

    uri: str
    """models:/<name>/<version>, also where the spec names an alias."""
    version: str
    """The registry's number of the version."""
    digest: str
    """`sha256:<hex>` over its files, as the registry or an inspection has it."""
    run: str = ""
    """The MLflow run that made it; "" where the registry has none."""
    signature: str = ""
    """Model signature as JSON; "" where there is none, or it is too long for status."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The registry has no such model, version or alias."""

    message: str
    """A sentence; with the registry's own words where it was asked."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """The version exists, but its registration has not ended well yet."""

    message: str
    """A sentence, with the version's state in the registry."""


@dataclass(frozen=True, slots=True)
class DigestMissing:
    """The version has no recorded content digest, so no pod could verify what it loads."""

    message: str
    """A sentence, with how to register the version so that it has one."""


@dataclass(frozen=True, slots=True)
class Unpinned:
    """The version is READY and carries no content digest: its files are looked at first."""

    uri: str
    """models:/<name>/<version>."""
    version: str
    """The registry's number of the version."""
    run: str = ""
    """The run that made it; "" where the registry has none."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What became of the pod that looks at the files of a version without a digest."""

    uri: str = ""
    """The version that it looks at; "" where there is no such pod."""
    ended: bool = False
    """Whether its pod has ended, well or not."""
    digest: str = ""
    """`sha256:<hex>` of the files; "" where it has not said so."""
    signature: str = ""
    """The model's inputs as JSON; "" where it has none, or they are too long."""
    trouble: str = ""
    """Why the model cannot be served, or, before the end, why the pod does not run."""
    summary: str = ""
    """How large the files are, of which flavours, and what will serve them how; "" where none can.
    """
    known: tuple[str, int] | None = None
    """The pod's uid and resourceVersion, by which it is deleted."""


@dataclass(frozen=True, slots=True)
class RegistryUnreachable:
    """The registry did not answer."""

    message: str
    """A sentence, with the HTTP status or the error, and what helps if that is known."""


Resolution = Resolved | NotFound | NotReady | DigestMissing | Unpinned | RegistryUnreachable


@dataclass(frozen=True, slots=True)
class Workload:
    """The Deployment of one revision as the cluster has it."""

    ready: int
    """Pods that are Ready."""
    wanted: int
    """Pods that its spec asks for."""
    trouble: str = ""
    """What its pods say is wrong; "" if nothing."""
    current: int | None = None
    """Those of the Ready pods that are as the status asks, not of a former template; None where
    nobody looked.
    """
    lasting: bool = False
    """Whether `trouble` is of the model's files themselves: no pod will ever serve them."""

    @property
    def as_asked(self) -> int:
        """What `current` says; all that are Ready where nobody looked."""
        return self.ready if self.current is None else self.current


@dataclass(frozen=True, slots=True)
class Series:
    """The newest sample of one time series of one revision."""

    name: str
    """The metric, `__name__`."""
    pod: str
    """Label `pod`; "" where it is missing."""
    at: float
    """Unix time of the sample in seconds, by Prometheus' clock."""
    value: float
    """NaN where VictoriaMetrics tells that the series has ended."""
    source: str = ""
    """Label of a reported accuracy: "training" or "feedback"; "" where it is missing."""
    le: str = ""
    """Histograms: the bucket's upper bound."""
    outcome: str = ""
    """Labels: "correct" or "wrong"."""
    first: float = 0.0
    """The oldest value within the query's window."""
    gap: float = 0.0
    """Seconds between the last two samples; 0 where the window has but one."""
    job: str = ""
    """Who was scraped, with `instance`."""
    instance: str = ""
    """The address that was scraped; "" where the label is missing."""
    reach: float = 0.0
    """Of a metric of one's own: how far before `at` what it says may come from, in seconds."""
    unit: str = ""
    """Of a metric of one's own: its unit, for sentences."""
    scale: tuple[float, float] | None = None
    """Of a mean that is counted: which values 0 and 1 stand for."""
    lacks: str = ""
    """Of a metric of one's own: why it tells nothing, though it is there."""
    defined: str = ""
    """Of a metric of one's own: a hash of what it is; counts of another are none of this."""
    column: str = ""
    """Of live rows: the column."""
    bin: str = ""
    """Of live rows and answers: the bin or class."""
    candidate: str = ""
    """Of copies of stable's requests: the revision that got them."""


@dataclass(frozen=True, slots=True)
class MetricsUnreachable:
    """Prometheus gave no answer that can be used."""

    message: str
    """What came instead: a refusal, a warning, or an error of the network or of a file."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A route of somebody else's on the same host and path of the same router."""

    kind: str
    """Ingress or HTTPRoute."""
    name: str
    """As namespace/name."""
    created: datetime | None
    """None for a canary Ingress, which takes its share whatever its age."""
    of: str = ""
    """The ModelRollout that owns it; "" for none."""

    def __str__(self) -> str:
        owner = f" of ModelRollout {self.of}" if self.of else ""
        return f"{self.kind} {self.name}{owner}"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back when a router was asked."""

    said: str = ""
    """What is wrong, with what was asked and what helps; "" where a pod of the rollout answered."""
    reached: bool = True
    """Whether a router answered at all; where none does, the operator may only be kept from it."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How requests of the operator's own, sent through the routes since the phase began, were
    answered at last: in a row, by whom they are to go to.
    """

    answers: int
    """How many in a row; of several addresses the fewest."""
    stretch: timedelta
    """Over how long; of several addresses the shortest."""
    lag: timedelta
    """How long after the beginning of the phase the row began; of several addresses the latest."""


APART = timedelta(seconds=5)
"""How far apart the replicas and workers of one router follow: those of ingress-nginx sync at most
once in 3.33 s, and look for it once a second, each by a clock of its own (4.3 s measured).
"""
DRAIN = timedelta(seconds=10)
"""How long a router may still send requests by an older weight: on busy machines a request in 350
came over 2 s late.
"""

LONG_AGO = datetime.min.replace(tzinfo=UTC)

Answer = tuple[Series, ...] | MetricsUnreachable


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at a rollout."""

    now: datetime
    """UTC, by the clock of whoever looks."""
    uid: str
    """metadata.uid; part of each revision's hash."""
    name: str
    """metadata.name, which the stable Service has too."""
    generation: int
    """metadata.generation: it grows with each change of the spec."""
    spec: Spec | None
    """None where the object's spec cannot be read; then `spec_error` says why."""
    status: Status
    """As it was last written; a plan begins from it."""
    image: str
    """The model server's image for new revisions."""
    spec_error: str = ""
    """What is wrong with the spec, as a sentence; "" where it can be read."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """What a person commands: verbs, and the attempt that each is for."""
    freeze: Freeze = NEVER
    """What windows say of now: those of the spec, and of the operator's configuration."""
    commanded_by: str = ""
    """Annotation: `<verb> <attempt>: <name>` of the last command; "" for none."""
    command_reason: str = ""
    """Annotation: `<verb> <attempt>: <text>` of the last command; "" for none."""
    names_verified: bool = False
    """Whether an admission policy sees to it that nobody writes another's name there."""
    resolution: Resolution | None = None
    """What the registry says of the model version; None where it was not asked."""
    inspection: Inspection | None = None
    """Of the version in status.inspecting; None where nothing is inspected."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """The Deployments, by revision."""
    stable_endpoints: frozenset[str] = frozenset()
    """Revisions with Ready endpoints behind the stable Service."""
    route_trouble: str = ""
    """What the router says against the route that requests come by, as it was last written; ""
    where it follows, or never says anything.
    """
    unaccepted: str = ""
    """What is said against the route that the spec asks for; "" where it was accepted."""
    uncopied: str = ""
    """Why stable's pods could not be told to copy requests, as a sentence; "" where they could."""
    differences: tuple[Difference, ...] = ()
    """Answers to copies that differed, as stable's pods told in this attempt; of one candidate."""
    heard: Heard | None = None
    """What came back when that route was asked; None where it was not or cannot be, because no
    address is published.
    """
    claims: tuple[Claim, ...] = ()
    """Routes of nobody's on the same host and path."""
    api_rejection: str = ""
    """What the API server has for some time said against one of its objects; "" for nothing."""
    api_rejection_now: str = ""
    """The same, however short."""
    name_taken: bool = False
    """Whether that is because another's object has its name."""
    unscaled: str = ""
    """Which of the rollout's autoscalers has had no metric for long, as a sentence."""
    unscaled_at: datetime | None = None
    """When that will be so, unless it gets one; None where it has one, or is told already."""
    affinity: str = ""
    """What keeps visitors where they came first, as a sentence."""
    scaled: str = ""
    """Who else sets the number of a Deployment's pods, as a sentence."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """The candidate's series by the names of metrics, as far as they were asked for."""
    baseline: Mapping[str, Answer] = field(default_factory=dict)
    """The stable revision's series, as far as they were asked for."""
    asked_at: datetime | None = None
    """When the oldest of these answers was asked for; None where nothing was asked."""
    reported: frozenset[int] = frozenset()
    """Attempts whose verdict the registry has been told since the status was written."""
    outbox: Outbox | None = None
    """Where messages go, and which were sent; None where none are."""
    drain: timedelta = DRAIN
    """How long routers may lag behind a new weight, where they cannot be asked."""
    applied_at: datetime | None = LONG_AGO
    """When this process first had all objects as the phase asks; None where it has not yet."""
    followed: Followed | None = None
    """How routers answer in a phase that waits for them; None where they are not asked, or cannot
    be.
    """
    apart: timedelta = APART
    """How long all requests must have been answered as the phase asks until that is known."""
    recovered: Revision | None = None
    """What the stable Service leads to, where somebody has removed the status; else None."""
    also_running: tuple[Revision, ...] = ()
    """The rollout's other revisions that have a Deployment then."""
    profile: Chosen | None = None
    """The profile that the spec chooses, as it is configured now; None where that is not known."""
    take_profile: str = ""
    """Annotation: the hash of the profile that pods of stable are to have now; "" for none."""
    proof: ProofDemand | None = None
    """What the operator demands of a version before it is tried, and what the rollout shows of it;
    None where it demands nothing.
    """
