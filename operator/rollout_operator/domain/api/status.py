"""What the operator knows and has decided: the status of a ModelRollout. All of the engine's memory
is in it.
"""

from typing import Literal

from pydantic import Field

from rollout_operator.domain.api.api_types import ApiModel, Moment
from rollout_operator.domain.api.differences import MOST_DIFFERENCES, Difference
from rollout_operator.domain.api.gate_results import EvidenceStatus, GateResult, GateStatus
from rollout_operator.domain.api.route_status import Drain, Route, Unrouted
from rollout_operator.domain.api.spec import Resources
from rollout_operator.domain.api.words import Phase, Reason, Verdict

LONGEST_POD_SETTINGS = 4096
"""What a profile may say of pods, in characters of JSON."""

MOST_ACTS = 8
"""Commands that an attempt remembers."""

MOST_EVIDENCE = MOST_REJECTED = 20
"""Counts of gates, and revisions that were rolled back, that a status holds."""

LONGEST_SPEC = 16384
"""Characters of what a status remembers of a spec; of a longer one it remembers nothing."""

MOST_PROMOTED = 20
"""Versions that a status remembers to have been stable, where a proof is demanded of others."""

LONGEST_PROOF = 4096
"""Characters of a signed proof; a longer one is not read. The longest names make 2400."""

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
    replicas: int = Field(description="Pods wanted; of an autoscaler's, those at least.")
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


class Act(ApiModel):
    """What a person has told an attempt to do."""

    verb: str = Field(max_length=16, description="abort, approve, promote, retry, skip, pause…")
    by: str = Field(
        "", max_length=256, description="Who it was, by the annotation commanded-by; empty if none."
    )
    verified: bool = Field(
        False,
        description="Whether an admission policy wrote that name; else anybody may have.",
    )
    reason: str = Field("", max_length=512, description="Why, in that person's words.")
    at: Moment = Field(description="When it was carried out.")


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
    returned_to: str = Field(
        "", max_length=256, description="Returned: the version that answers again."
    )
    acts: tuple[Act, ...] = Field(
        (), max_length=MOST_ACTS, description="What people told it to do, oldest first."
    )


class Notification(ApiModel):
    """A message that was owed, and to whom it still is."""

    kind: str = Field(max_length=32)
    """What it tells: a verdict, WaitingForDecision, WaitingForApproval or Stalled."""
    about: str = Field(
        "", max_length=64, description="Stalled: the reason, each of which is told once."
    )
    attempt: int
    """The attempt that it tells of."""
    at: Moment
    """When it came to that."""
    to: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Destinations that have not answered yet; none: all is sent, or given up.",
    )
    holder: str = Field("", max_length=16, description="The operator's process that sends it.")
    until: Moment | None = Field(
        None, description="When another process may send it, under the same id."
    )

    @property
    def place(self) -> tuple[int, str]:
        """Attempt and kind, with what it is about: no two messages of a rollout have the same."""
        return self.attempt, f"{self.kind}/{self.about}" if self.about else self.kind


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


class PromotedVersion(ApiModel):
    """A version that was stable here, which may be so again without a proof."""

    uri: str = Field(max_length=256)
    """models:/<name>/<version>."""
    digest: str = Field(max_length=80)
    """`sha256:<hex>` of its files."""


class Watch(ApiModel):
    """What is watched after its promotion, beside the pods of the version before."""

    former: str = Field(
        max_length=16, description="The revision before, whose pods are ready to answer again."
    )
    since: Moment = Field(description="When it was promoted.")
    until: Moment = Field(
        description=(
            "When the watch ends, and the former pods go; a return that waits for them has"
            " progressDeadline longer."
        )
    )
    waits: str = Field(
        "",
        max_length=1024,
        description="What a return waits for: the former pods cannot take all requests.",
    )


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


class ScaleUp(ApiModel):
    """What a candidate on trial was asked to have more than before: until its new pods are Ready,
    the others have too many requests.
    """

    wanted: int = Field(description="Pods that its Deployment asks for.")
    since: Moment = Field(description="When it was first seen to ask for more than before.")
    until: Moment | None = Field(
        None, description="When all of them were Ready; empty as long as they are not."
    )


class Condition(ApiModel):
    """A metav1.Condition."""

    type: str = Field(max_length=64)
    """One of kstatus, Accepted, HostShared, SessionAffinity, Frozen, ReturnWaits,
    GuaranteeUnavailable or OverdispersedLabels.
    """
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
        0,
        description=(
            "Pods that the spec asks for, or that its autoscaler has given stable, as last seen:"
            " what autoscalers read."
        ),
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
    grows_since: Moment | None = Field(
        None,
        description="Since when a step that is over waits for the pods that the next one needs.",
    )
    share: int | None = Field(
        None,
        description=(
            "provider None: what that weight comes to, in percent of connections, by the Ready pods"
            " of stable and candidate."
        ),
    )
    setbacks: int = Field(
        0, description="How often the candidate's pods were lost during this attempt."
    )
    scale_up: ScaleUp | None = Field(
        None, description="What the candidate was last asked to have more, in this trial."
    )
    gates: tuple[GateStatus, ...] = Field(
        (), max_length=10, description="The last measurement of each gate."
    )
    evidence: tuple[EvidenceStatus, ...] = Field(
        (), max_length=MOST_EVIDENCE, description="The counts behind Labelled gates."
    )
    differences: tuple[Difference, ...] = Field(
        (),
        max_length=MOST_DIFFERENCES,
        description="A few of the copies that this attempt's candidate answered otherwise.",
    )
    no_evidence_since: Moment | None = Field(
        None, description="Since when a step that is due waits for evidence."
    )
    approval_since: Moment | None = Field(
        None,
        description="Since when the attempt waits for a person to approve it; else empty.",
    )
    approved_at: Moment | None = Field(
        None,
        description=(
            "When a person approved what had passed: its gates have to pass once more, by newer"
            " samples."
        ),
    )
    frozen: str = Field(
        "",
        max_length=1024,
        description="Why the attempt takes no step and is not promoted now, and until when.",
    )
    frozen_until: Moment | None = Field(
        None, description="When that ends; empty where it does not, or not within a year."
    )
    acts: tuple[Act, ...] = Field(
        (),
        max_length=MOST_ACTS,
        description="What people have told this attempt to do, oldest first.",
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
        description="What is wrong with the spec, which holds all but an abort and a way back.",
    )
    last_spec: str = Field(
        "",
        max_length=LONGEST_SPEC,
        description=(
            "What a way back needs of the spec as it was last read, as JSON: an abort, a rollback"
            " and a return go by it where the spec cannot be read."
        ),
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
    watch: Watch | None = Field(
        None, description="What is watched after its promotion, until when, and what it returns to."
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
    drains: tuple[Drain, ...] = Field(
        (), max_length=4, description="How long routers were waited for in the last attempt."
    )
    shared: str = Field(
        "",
        max_length=1024,
        description="Which routes that no rollout owns have the same host and path.",
    )
    affinity: str = Field(
        "",
        max_length=1024,
        description="What keeps visitors where they came first, so that no weight counts for them.",
    )
    scaled: str = Field(
        "",
        max_length=1024,
        description="Who else sets the number of a Deployment's pods, and what helps.",
    )
    unscaled: str = Field(
        "", max_length=1024, description="Which autoscaler has no metric, and what helps."
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
    messages: tuple[Notification, ...] = Field(
        (),
        max_length=20,
        description="Messages about the last attempt, and those that are still to be sent.",
    )
    rejected: tuple[Rejected, ...] = Field(
        (),
        max_length=MOST_REJECTED,
        description="Revisions that were rolled back, newest first.",
    )
    promoted: tuple[PromotedVersion, ...] = Field(
        (),
        max_length=MOST_PROMOTED,
        description=(
            "Versions that were stable, newest first, where the operator demands proofs: these may"
            " come back without one."
        ),
    )
    proof: str = Field(
        "",
        max_length=LONGEST_PROOF,
        description="That stable was promoted here, signed by the operator; for promote-to.",
    )
    conditions: tuple[Condition, ...] = Field(
        (), max_length=10, description="Accepted, Ready, Reconciling, Stalled (kstatus)."
    )

    @property
    def returning(self) -> bool:
        """Whether requests are on their way back from what is stable: to its former, which is the
        candidate then.
        """
        return self.verdict is Verdict.RETURNED

    @property
    def former(self) -> Revision | None:
        """What a watched version would return to; None where nothing is watched."""
        watch = self.watch
        kept = (r for r in self.retiring if watch is not None and r.revision == watch.former)
        return next(kept, None)

    @property
    def watched(self) -> str:
        """Until when what is promoted is watched, and what would become of it, as a sentence; ""
        where it is not.
        """
        watch, former = self.watch, self.former
        if watch is None or former is None or self.phase is not Phase.PROMOTED:
            return ""
        said = f"Watched until {watch.until:%Y-%m-%d %H:%M} UTC: a failed gate returns to"
        return f"{said} {former.uri}.{' ' if watch.waits else ''}{watch.waits}"

    @property
    def percent(self) -> int:
        """What the candidate gets: its weight, or what that comes to where pods are the split."""
        return self.weight if self.share is None else self.share
