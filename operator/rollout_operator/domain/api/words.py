"""The words of a status: phases, verdicts and reasons."""

from enum import StrEnum


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
    """The candidate gets all requests through the canary route; on the way back from a watch, the
    version before does.
    """
    SWITCHING = "Switching"
    """The stable Service selects the candidate's pods; waiting for its endpoints."""
    SETTLING = "Settling"
    """With an HTTPRoute: weight 0 again; waiting for the Gateway to take that over."""
    PROMOTED = "Promoted"
    """The candidate has become stable."""
    ROLLING_BACK = "RollingBack"
    """Weight 0; the candidate's pods stay until no request can reach them."""
    ROLLED_BACK = "RolledBack"
    """The candidate is gone and remembered, or what was promoted was taken back in its watch."""
    INVALID = "Invalid"
    """The model version cannot be rolled out at all."""


class Verdict(StrEnum):
    """How an attempt ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    CANCELLED = "Cancelled"
    SUPERSEDED = "Superseded"
    RETURNED = "Returned"
    """It was promoted, failed in its watch, and the version before answers again."""


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
    INSPECTED = "Inspected"
    DIGEST_NOT_RECORDED = "DigestNotRecorded"
    MODEL_CANNOT_SERVE = "ModelCannotServe"
    SIGNATURE_INCOMPATIBLE = "SignatureIncompatible"
    PROMOTION_NOT_PROVED = "PromotionNotProved"
    INVALID_SPEC = "InvalidSpec"
    WAITING_FOR_PODS = "WaitingForPods"
    MEASURING = "Measuring"
    WAITING_FOR_EVIDENCE = "WaitingForEvidence"
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    APPROVED = "Approved"
    FROZEN = "Frozen"
    GATES_PASSED = "GatesPassed"
    GATE_FAILED = "GateFailed"
    NO_EVIDENCE = "NoEvidence"
    INCONCLUSIVE = "Inconclusive"
    LABELS_TOO_SLOW = "LabelsTooSlow"
    OVERLOADED = "Overloaded"
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
    SESSION_AFFINITY = "SessionAffinity"
    SCALED_BY_ANOTHER = "ScaledByAnother"
    AUTOSCALER_WITHOUT_METRIC = "AutoscalerWithoutMetric"
    PROFILE_CHANGED = "ProfileChanged"
