"""What the operator knows and has decided: the status of a ModelRollout. All of the engine's memory
is in it.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from rollout_operator.domain.api.analysis import EvidenceKind
from rollout_operator.domain.api.api_types import ApiModel, Moment
from rollout_operator.domain.api.spec import Resources
from rollout_operator.domain.api.traffic import Provider

LONGEST_POD_SETTINGS = 4096
"""What a profile may say of pods, in characters of JSON."""


class Phase(StrEnum):
    """Where the rollout stands, for people; programs read the conditions."""

    PENDING = "Pending"
    """The model version is being looked up in the registry."""
    STARTING = "Starting"
    """The candidate's pods are not Ready yet; weight 0."""
    TRIAL = "Trial"
    """The candidate gets the weight of the step; the gates are measured."""
    PROMOTING = "Promoting"
    """The gates have passed; the candidate is scaled to full size."""
    SHIFTING = "Shifting"
    """The candidate gets all requests through the canary route."""
    SWITCHING = "Switching"
    """The stable Service selects the candidate's pods; waiting for its endpoints."""
    SETTLING = "Settling"
    """With an HTTPRoute: weight 0 again; waiting for the Gateway to take that over."""
    PROMOTED = "Promoted"
    """The candidate has become stable."""
    ROLLING_BACK = "RollingBack"
    """Weight 0; the candidate's pods stay until no request can reach them."""
    ROLLED_BACK = "RolledBack"
    """The candidate is gone and remembered."""
    INVALID = "Invalid"
    """The model version cannot be rolled out at all."""


class Measurement(StrEnum):
    """What one gate says at one moment."""

    PASS = "Pass"
    FAIL = "Fail"
    NO_EVIDENCE = "NoEvidence"
    UNREACHABLE = "Unreachable"


class Verdict(StrEnum):
    """How an attempt ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    CANCELLED = "Cancelled"
    SUPERSEDED = "Superseded"


class Reason(StrEnum):
    """Why, in one word: the reasons of conditions, Events and history; docs/reference/reasons.md
    has an entry for each.
    """

    RESOLVING = "Resolving"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    MODEL_VERSION_NOT_FOUND = "ModelVersionNotFound"
    MODEL_VERSION_NOT_READY = "ModelVersionNotReady"
    DIGEST_MISSING = "DigestMissing"
    INSPECTING = "Inspecting"
    MODEL_CANNOT_SERVE = "ModelCannotServe"
    SIGNATURE_INCOMPATIBLE = "SignatureIncompatible"
    INVALID_SPEC = "InvalidSpec"
    WAITING_FOR_PODS = "WaitingForPods"
    MEASURING = "Measuring"
    WAITING_FOR_EVIDENCE = "WaitingForEvidence"
    GATES_PASSED = "GatesPassed"
    GATE_FAILED = "GateFailed"
    NO_EVIDENCE = "NoEvidence"
    INCONCLUSIVE = "Inconclusive"
    LABELS_TOO_SLOW = "LabelsTooSlow"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    UNSTABLE = "Unstable"
    ABORTED = "Aborted"
    PROMOTED_BY_COMMAND = "PromotedByCommand"
    RETURNED_TO_STABLE = "ReturnedToStable"
    SUPERSEDED = "Superseded"
    REJECTED_BEFORE = "RejectedBefore"
    ALREADY_STABLE = "AlreadyStable"
    RESTORED = "Restored"
    PAUSED = "Paused"
    OBJECT_REFUSED = "ObjectRefused"
    PODS_NOT_READY = "PodsNotReady"
    ROUTE_NOT_ACCEPTED = "RouteNotAccepted"
    ROUTE_DOES_NOT_ANSWER = "RouteDoesNotAnswer"
    HOST_SHARED = "HostShared"
    SCALED_BY_ANOTHER = "ScaledByAnother"
    PROFILE_CHANGED = "ProfileChanged"


class Revision(ApiModel):
    """One servable model: resolved version, content digest and pod settings."""

    revision: str = Field(
        max_length=16, description="Short hash; names the Deployment and labels the metric series."
    )
    requested: str = Field(max_length=256, description="The modelUri as the spec had it.")
    uri: str = Field(max_length=256, description="The MODEL_URI with the version pinned.")
    version: str = Field(max_length=16, description="The version in the registry.")
    run: str = Field("", max_length=64, description="The MLflow run that made the model.")
    digest: str = Field(
        max_length=80,
        description="sha256 over the artifact's files, verified by the pod before it loads.",
    )
    signature: str = Field(
        "",
        max_length=8192,
        description=(
            "What goes in and comes out, as the registry has it; empty where it is not known."
        ),
    )
    image: str = Field(
        max_length=512, description="The model server's image, pinned when the attempt began."
    )
    resources: Resources = Field(Resources(), description="CPU and memory of each pod.")
    profile: str | None = Field(
        None, max_length=63, description="The profile of its pods, as the spec had it."
    )
    pod_settings: str | None = Field(
        None,
        max_length=LONGEST_POD_SETTINGS,
        description="What the profile said of pods when they were given it, as JSON.",
    )
    replicas: int = Field(description="Pods wanted.")
    buckets: tuple[float, ...] = Field(
        (),
        max_length=60,
        description=(
            "Bounds in seconds that its pods' latency histogram has for the gates, beside the usual"
            " ones."
        ),
    )
    since: Moment = Field(description="When it took its present role.")
    ready_at: Moment | None = Field(
        None,
        description="When its pods were first Ready in this attempt; older samples do not count.",
    )
    promoted: bool = Field(False, description="Whether it has ever been stable.")


class GateStatus(ApiModel):
    """What a gate said when it was last measured."""

    metric: str = Field(max_length=32)
    evidence: EvidenceKind = Field(
        EvidenceKind.REPORTED, description="What the gate rests on: Reported or Labelled."
    )
    value: float | None = Field(
        None, description="The measured value; for a gate against stable, the difference to stable."
    )
    lower: float | None = Field(
        None, description="Labelled: lower bound of the value, valid at all times together."
    )
    upper: float | None = Field(
        None, description="Labelled: upper bound of the value, valid at all times together."
    )
    threshold: float = Field(description="The bound it is held against.")
    samples: int | None = Field(None, description="How many labels or requests the value rests on.")
    evidence_for: float | None = Field(
        None, description="Labelled: ln E as a share of what promotion needs; 1 decides."
    )
    evidence_against: float | None = Field(
        None, description="Labelled: ln E as a share of what rolling back needs; 1 decides."
    )
    labels_left: int | None = Field(
        None, description="Labelled: about how many more labels a verdict takes."
    )
    eta: Moment | None = Field(
        None, description="Labelled: when that many labels will be there at the present rate."
    )
    coverage: float | None = Field(
        None, description="Labelled accuracy: share of predictions that have a label."
    )
    design_effect: float | None = Field(
        None,
        description=(
            "Labelled: what the counts are divided by; above 1.5 labels are not independent."
        ),
    )
    inconclusive: bool | None = Field(
        None, description="Labelled: maxSamples is reached without a verdict."
    )
    late: bool | None = Field(
        None, description="At the present rate of labels, maxHold ends before a verdict."
    )
    measurement: Measurement
    message: str = Field("", max_length=512, description="The measurement as a sentence.")
    at: Moment = Field(description="When this was first measured so.")
    revision: str = Field(max_length=16, description="The revision it was measured for.")


class PodCounts(ApiModel):
    """Counters of one revision in one pod, raw, as last read: what the next reading is compared
    with.
    """

    pod: str = Field(max_length=253)
    good: float
    total: float
    predicted: float = 0
    at: float = Field(description="Time of the sample, Unix seconds by Prometheus' clock.")


class Cohort(ApiModel):
    """How many predictions there were at one moment: those old enough to have a label by now."""

    at: float
    predicted: float


class EvidenceStatus(ApiModel):
    """The counts behind one Labelled gate for one model version; a retry goes on with them."""

    gate: str = Field(max_length=64, description="Which gate: metric and bound.")
    subject: str = Field(
        max_length=512,
        description=(
            "The model version (accuracy) or the revision (errorRate, latency) that was counted."
        ),
    )
    good: float = Field(
        0,
        description=(
            "Right answers (errorRate: requests without error; latency: requests within the bound)."
        ),
    )
    total: float = Field(0, description="Labels or requests.")
    predicted: float = Field(0, description="Predictions that could get a label.")
    squares: float = Field(
        0, description="Sum over scrapes of good squared by total, for the design effect."
    )
    scrapes: int = Field(0, description="Scrapes with new labels.")
    since: Moment = Field(description="Since when labels are counted in this attempt.")
    before: float = Field(0, description="Labels that earlier attempts counted.")
    baseline_total: float = Field(0, description="Labels of the stable revision in the meantime.")
    above: tuple[float, ...] = Field(
        (),
        max_length=8,
        description="Log-wealth for promotion, per alternative (against stable only).",
    )
    below: tuple[float, ...] = Field(
        (),
        max_length=8,
        description="Log-wealth for rolling back, per alternative (against stable only).",
    )
    stable_good: float = Field(
        0, description="Stable's right answers, exponentially weighted (against stable only)."
    )
    stable_total: float = Field(
        0, description="Stable's labels, exponentially weighted (against stable only)."
    )
    pods: tuple[PodCounts, ...] = Field((), max_length=200)
    stable_pods: tuple[PodCounts, ...] = Field((), max_length=200)
    cohorts: tuple[Cohort, ...] = Field((), max_length=40)


class GateResult(ApiModel):
    """What an attempt's verdict rests on: a gate as it was last measured."""

    metric: str = Field(max_length=32)
    value: float | None = None
    threshold: float
    samples: int | None = None
    measurement: Measurement


class Attempt(ApiModel):
    """One trial of one candidate that has ended."""

    attempt: int
    uri: str = Field(max_length=256)
    revision: str = Field(max_length=16)
    verdict: Verdict
    reason: str = Field(max_length=64)
    message: str = Field(max_length=1024)
    started: Moment
    ended: Moment
    gates: tuple[GateResult, ...] = Field(
        (), max_length=20, description="The gates as they were last measured."
    )


class Rejected(ApiModel):
    """A revision that was rolled back; it is not tried again without `retry`."""

    revision: str = Field(max_length=16)
    uri: str = Field(max_length=256)
    reason: str = Field(max_length=64)
    message: str = Field(max_length=1024)
    at: Moment


class Inspecting(ApiModel):
    """A version without a recorded digest, whose files are looked at before it is tried."""

    uri: str = Field(max_length=512, description="The version, models:/<name>/<version>.")
    since: Moment = Field(description="Since when it is looked at.")
    digest: str = Field("", max_length=71, description="Of its files, once they were read.")
    message: str = Field(
        "",
        max_length=1024,
        description="Why it cannot be served. It is looked at again after ten minutes.",
    )


class Shortage(ApiModel):
    """What a promoted rollout lacks: pods that the spec asks for and that do not serve now."""

    ready: int = Field(description="Pods of the stable revision that are Ready.")
    wanted: int = Field(description="Pods that the spec asks for.")
    since: Moment = Field(description="Since when there have been too few.")
    stalled: bool = Field(False, description="Whether it has lasted longer than progressDeadline.")
    message: str = Field(
        max_length=1024,
        description="The same as a sentence, with what the ReplicaSet or a pod says.",
    )


class Route(ApiModel):
    """A way by which requests come in."""

    name: str = Field(max_length=64, description="Name of its Ingress or HTTPRoute.")
    provider: Provider
    host: str = Field(max_length=253)
    path: str = Field(max_length=256)
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


class Condition(ApiModel):
    """A metav1.Condition."""

    type: str = Field(max_length=64)
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(max_length=64)
    message: str = Field(max_length=2048)
    observed_generation: int
    last_transition_time: Moment


class Status(ApiModel):
    """The status of a ModelRollout."""

    observed_generation: int = Field(
        -1,
        description=(
            "The generation this status speaks of; -1 before the operator has seen the object."
        ),
    )
    phase: Phase = Field(Phase.PENDING, description="Where the rollout stands, for people.")
    phase_since: Moment | None = Field(
        None, description="When the phase began; deadlines count from it."
    )
    attempt: int = Field(0, description="Number of the last attempt; it only grows.")
    attempt_since: Moment | None = Field(None, description="When the attempt began.")
    stable: Revision | None = Field(None, description="The revision that answers by default.")
    candidate: Revision | None = Field(
        None, description="The revision on trial, or the one that was last rolled back."
    )
    retiring: tuple[Revision, ...] = Field(
        (), max_length=20, description="Replaced revisions whose pods are kept for scaleDownDelay."
    )
    step: int | None = Field(None, description="Index of the current step, from 0.")
    step_since: Moment | None = Field(None, description="When the step began.")
    weight: int = Field(0, description="Share of requests that goes to the candidate, in percent.")
    setbacks: int = Field(
        0, description="How often the candidate's pods were lost during this attempt."
    )
    gates: tuple[GateStatus, ...] = Field(
        (), max_length=10, description="The last measurement of each gate."
    )
    evidence: tuple[EvidenceStatus, ...] = Field(
        (), max_length=20, description="The counts behind Labelled gates."
    )
    no_evidence_since: Moment | None = Field(
        None, description="Since when a step that is due waits for evidence."
    )
    paused_since: Moment | None = Field(
        None, description="Since when spec.paused holds the rollout."
    )
    halted: bool = Field(
        False, description="A verdict said Pause; abort, retry or promote goes on."
    )
    handled_commands: tuple[str, ...] = Field(
        (),
        alias="honoured",
        max_length=10,
        description="Commands already carried out in this attempt.",
    )
    verdict: Verdict | None = Field(None, description="The verdict that is being carried out.")
    reason: Reason = Field(Reason.RESOLVING, description="Why the rollout stands where it does.")
    message: str = Field("", max_length=1024, description="The same as a sentence.")
    invalid: str = Field(
        "",
        max_length=1024,
        description="What is wrong with the spec, which holds everything where it is.",
    )
    api_rejection: str = Field(
        "",
        alias="refused",
        max_length=1024,
        description="What the API server says against an object that should be there.",
    )
    waits_for: str = Field(
        "",
        max_length=1024,
        description="What is said against the route, or an object, that the attempt waits for.",
    )
    inspecting: Inspecting | None = Field(
        None,
        description="The version whose files are looked at, because it carries no digest.",
    )
    shortage: Shortage | None = Field(
        None,
        description="What is missing of the pods that the spec asks for, where it is promoted.",
    )
    routes: tuple[Route, ...] = Field(
        (),
        max_length=10,
        description=(
            "Ways by which requests come in: the one that the spec asks for, then former ones that"
            " are kept."
        ),
    )
    shared: str = Field(
        "",
        max_length=1024,
        description="Which routes that no rollout owns have the same host and path.",
    )
    scaled: str = Field(
        "",
        max_length=1024,
        description="Who else sets the number of a Deployment's pods, and what helps.",
    )
    outdated: str = Field(
        "",
        max_length=1024,
        description="How the profile differs from what pods of stable have, and what helps.",
    )
    unrouted: Unrouted | None = Field(
        None,
        description="What is wrong with the route that the spec asks for, where it is promoted.",
    )
    history: tuple[Attempt, ...] = Field(
        (), max_length=10, description="The last ten attempts, newest first."
    )
    reported: int = Field(
        0, description="Number of the last attempt whose verdict the registry has been told."
    )
    rejected: tuple[Rejected, ...] = Field(
        (), max_length=20, description="Revisions that were rolled back, newest first."
    )
    conditions: tuple[Condition, ...] = Field(
        (), max_length=8, description="Accepted, Ready, Reconciling, Stalled (kstatus)."
    )
