"""What the operator knows and has decided: the status of a ModelRollout. All of the engine's memory
is in it.
"""

from typing import Literal

from pydantic import Field

from rollout_operator.domain.api.api_types import ApiModel, Moment
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateResult, GateStatus
from rollout_operator.domain.api.route_status import Route, Unrouted
from rollout_operator.domain.api.spec import Resources
from rollout_operator.domain.api.words import Phase, Reason, Verdict

LONGEST_POD_SETTINGS = 4096
"""What a profile may say of pods, in characters of JSON."""

LONGEST_SIGNATURE = 8192
"""Characters of a model's signature that a status holds; a longer one is not compared."""


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
        max_length=LONGEST_SIGNATURE,
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


class Attempt(ApiModel):
    """One trial of one candidate that has ended."""

    attempt: int
    """Its number, from 1."""
    uri: str = Field(max_length=256)
    """The candidate's, with the version pinned: models:/<name>/<version>."""
    revision: str = Field(max_length=16)
    """The candidate's hash."""
    verdict: Verdict
    """How it ended."""
    reason: str = Field(max_length=64)
    """Why, as one word: a Reason."""
    message: str = Field(max_length=1024)
    """The same as a sentence."""
    started: Moment
    """When it began."""
    ended: Moment
    """When it was closed: its verdict was carried out, or it was given up."""
    gates: tuple[GateResult, ...] = Field(
        (), max_length=20, description="The gates as they were last measured."
    )


class Rejected(ApiModel):
    """A revision that was rolled back; it is not tried again without `retry`."""

    revision: str = Field(max_length=16)
    """Its hash."""
    uri: str = Field(max_length=256)
    """Its version: models:/<name>/<version>."""
    reason: str = Field(max_length=64)
    """Why it was rolled back, as one word; never for want of evidence."""
    message: str = Field(max_length=1024)
    """The same as a sentence."""
    at: Moment
    """When its attempt was closed."""


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


class Condition(ApiModel):
    """A metav1.Condition."""

    type: str = Field(max_length=64)
    """One of kstatus, Accepted, HostShared, GuaranteeUnavailable or OverdispersedLabels."""
    status: Literal["True", "False", "Unknown"]
    """Unknown where it is not decided yet."""
    reason: str = Field(max_length=64)
    """Why, as one word."""
    message: str = Field(max_length=2048)
    """The same as a sentence."""
    observed_generation: int
    """The metadata.generation that it speaks of."""
    last_transition_time: Moment
    """When `status` last changed; a new reason or message leaves it."""


class Status(ApiModel):
    """The status of a ModelRollout."""

    observed_generation: int = Field(
        -1,
        description=(
            "The generation this status speaks of; -1 before the operator has seen the object."
        ),
    )
    replicas: int = Field(
        0, description="Pods that the spec asks for, as last seen: what autoscalers read."
    )
    selector: str = Field(
        "", max_length=128, description="The label selector of all its model pods, for autoscalers."
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
