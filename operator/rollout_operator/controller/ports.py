"""What a reconcile reaches the world through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from rollout_operator.adapters.kubernetes_api import Cluster
from rollout_operator.adapters.model_registry import ModelRegistry
from rollout_operator.adapters.prometheus import Prometheus
from rollout_operator.adapters.router_probe import Routers
from rollout_operator.controller.cache import Store
from rollout_operator.controller.concurrency import Turns
from rollout_operator.controller.drains import Drains
from rollout_operator.controller.foreign_routes import ForeignRoutes
from rollout_operator.controller.messenger import Messenger
from rollout_operator.controller.pass_memory import PassMemory
from rollout_operator.controller.shadows import Shadows
from rollout_operator.controller.verdict_writeback import VerdictWriteback
from rollout_operator.controller.watch_health import UnseenWrites
from rollout_operator.desired.common import NO_GATEWAYS, Gateways
from rollout_operator.domain.credentials import Credentials
from rollout_operator.domain.egress import DNS, Egress
from rollout_operator.domain.feedback_stores import FeedbackStore
from rollout_operator.domain.own_metrics import NO_METRICS, OwnMetrics
from rollout_operator.domain.profiles import NO_PROFILES, Profiles
from rollout_operator.domain.promotion_proof import ProofRule, ProofSigner
from rollout_operator.domain.route_annotations import NO_ANNOTATIONS, RouteAnnotations
from rollout_operator.domain.windows import ConfiguredWindow


@dataclass(frozen=True, slots=True)
class Ports:
    """One for the process; all reconciles share it."""

    store: Store
    """What the watches have told."""
    cluster: Cluster
    """The API server."""
    prometheus: Prometheus
    """Measures what gates compare."""
    registry: ModelRegistry
    """Resolves MODEL_URIs."""
    writeback: VerdictWriteback
    """Tells the registry the verdicts."""
    image: str
    """The model server's image, for new revisions."""
    unseen_writes: UnseenWrites
    """Writes of a status that the watch has not brought back yet."""
    environment: Mapping[str, str]
    """Variables of all model servers."""
    drain: timedelta
    """How long routers may lag behind a weight."""
    feedback_key: str = ""
    """Secret that the keys of prediction ids are derived from; "" for none."""
    gateways: Gateways = NO_GATEWAYS
    """Namespace and abilities of the Gateways; by default each rollout's own, no mirrors."""
    egress: Egress | None = (DNS,)
    """Whom model servers may connect to; None for everybody."""
    turns: Turns = field(default_factory=Turns)
    """Limits how many rollouts are looked at at once."""
    foreign_routes: ForeignRoutes = field(default_factory=ForeignRoutes)
    """Routes that no rollout owns."""
    routers: Routers | None = None
    """None where routes are not asked."""
    drains: Drains | None = None
    """Watches routers that are waited for; None where routes are not asked."""
    credentials: tuple[Credentials, ...] = ()
    """What pods fetch models with, by namespace."""
    feedback_stores: tuple[FeedbackStore, ...] = ()
    """What remembers their labels, by namespace."""
    profiles: Profiles = NO_PROFILES
    """Where and how pods run, by the name that a spec chooses."""
    annotations: RouteAnnotations = NO_ANNOTATIONS
    """Which annotations routes may have, and which all have."""
    windows: tuple[ConfiguredWindow, ...] = ()
    """When rollouts are frozen, beside what each says itself."""
    metrics: OwnMetrics = NO_METRICS
    """What gates may be on beside what is built in."""
    names_verified: bool = False
    """Whether an admission policy writes who gives commands."""
    proof_rules: tuple[ProofRule, ...] = ()
    """Which namespaces take only what was promoted elsewhere before."""
    proof_signer: ProofSigner | None = None
    """Signs for what is promoted here; None where nobody does."""
    shadows: Shadows | None = None
    """Tells stable's pods to copy requests; None where nobody does."""
    messenger: Messenger | None = None
    """Sends messages; None where no destination is configured."""
    memory: PassMemory = field(default_factory=PassMemory)
    """Own writes, rejections and contests of each rollout, until it is gone."""
