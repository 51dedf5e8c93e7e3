"""A ModelRollout, read: its spec, or what is wrong with it, and its status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from rollout_operator.domain.api.spec import Spec
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.windows import Window
from rollout_operator.domain.last_spec import recalled
from rollout_operator.domain.own_metrics import NO_METRICS, OwnMetrics, refused_gates
from rollout_operator.domain.profiles import NO_PROFILES, Chosen, Profiles
from rollout_operator.domain.route_annotations import NO_ANNOTATIONS, RouteAnnotations
from rollout_operator.domain.windows import ConfiguredWindow, for_namespace


@dataclass(frozen=True, slots=True)
class Rollout:
    """A ModelRollout as the API server has it, and what it says."""

    raw: dict[str, Any]
    """The whole object, as parsed JSON."""
    spec: Spec | None
    """None where it cannot be carried out."""
    error: str
    """What is wrong with the spec, where that is None."""
    status: Status
    """Read from `raw`, with defaults for what is missing."""
    profile: Chosen | None = None
    """What the spec chooses of the operator's profiles; None where that is not known."""
    windows: tuple[Window, ...] = ()
    """Those of the operator's configuration that are for its namespace."""

    @property
    def acted_by(self) -> Spec | None:
        """The spec, or what is remembered of the last one that could be carried out; None where
        there was none.
        """
        return self.spec or recalled(self.status)

    @classmethod
    def read(  # noqa: PLR0917 - the operator's configuration
        cls,
        raw: dict[str, Any],
        mirrors: bool,
        taken_by: tuple[str, str] | None = None,
        profiles: Profiles = NO_PROFILES,
        annotations: RouteAnnotations = NO_ANNOTATIONS,
        windows: Iterable[ConfiguredWindow] = (),
        metrics: OwnMetrics = NO_METRICS,
    ) -> Self:
        """Read it.

        mirrors: whether the Gateways can mirror requests. taken_by: an older rollout, by namespace
        and name, that answers where this one would. profiles: those of the operator. annotations:
        which ones its configuration allows and adds; the spec that is read has them all.
        windows and metrics: those of its configuration.
        """
        spec, error = _spec(raw, mirrors)
        if spec is not None and taken_by is not None:
            error = (
                f"spec.traffic: {spec.traffic.said} is answered by the older"
                f" ModelRollout {'/'.join(taken_by)}: take another host or path."
            )
            spec = None
        profile = None
        if spec is not None:
            try:
                profile = profiles.choose(raw["metadata"]["namespace"], spec.profile)
                spec = _annotated(spec, annotations)
                _measurable(spec, metrics)
            except LookupError as unknown:
                spec, error = None, str(unknown.args[0])
        frozen = for_namespace(windows, raw["metadata"]["namespace"])
        return cls(raw, spec, error, Status.model_validate(raw["status"]), profile, frozen)


def _measurable(spec: Spec, metrics: OwnMetrics) -> None:
    """Raises LookupError for a gate that the operator cannot measure."""
    for number, why in refused_gates(spec.analysis.gates, metrics):
        raise LookupError(f"spec.analysis.gates[{number}]: {why}.")


def _annotated(spec: Spec, annotations: RouteAnnotations) -> Spec:
    """The spec with all annotations of its routes; raises LookupError."""
    found = annotations.of(spec.traffic.annotations)
    if found == spec.traffic.annotations:
        return spec
    traffic = spec.traffic.model_copy(update={"annotations": found})
    return spec.model_copy(update={"traffic": traffic})


def _spec(raw: Mapping[str, Any], mirrors: bool) -> tuple[Spec | None, str]:
    try:
        spec = Spec.model_validate(raw["spec"])
    except ValidationError as invalid:
        first = invalid.errors()[0]
        return None, f"spec.{'.'.join(map(str, first['loc']))}: {first['msg']}."
    if spec.traffic.mirror_percent is not None and not mirrors:
        return None, (
            "spec.traffic.mirrorPercent: the Gateways here are not known to mirror; leave it out,"
            " or set the operator's GATEWAY_MIRRORS."
        )
    return spec, ""
