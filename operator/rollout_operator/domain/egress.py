"""Where model pods may connect to: egress rules of a NetworkPolicy, from the addresses that pods
are given and the operator's setting.

A NetworkPolicy knows pods and IP addresses, not names; its ports are those of the pods behind a
Service, not the Service's own. Source:
kubernetes.io/docs/concepts/services-networking/network-policies
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from rollout_operator.domain.api.api_types import ApiModel

Rule = dict[str, Any]
Egress = tuple[Rule, ...]
"""Egress rules: a pod may make the connections that any of them allows."""

ANY = "any"
"""The word for: no NetworkPolicy."""
NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that the API server sets on every namespace."""
DNS: Rule = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
ADDRESSES = ("MLFLOW_TRACKING_URI", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of the pods that say where to connect to."""
USUAL_PORTS = {"http": 80, "https": 443}


class _Strict(ApiModel):
    model_config = ConfigDict(extra="forbid")


PortNumber = Annotated[int, Field(strict=True, ge=1, le=65535)]
PortName = Annotated[
    str, Field(strict=True, max_length=15, pattern="^([0-9]+-?)*[a-z]([a-z0-9]|-[a-z0-9])*$")
]
Network = Annotated[str, AfterValidator(lambda text: str(ip_network(text, strict=False)))]


class EgressPort(_Strict):
    """NetworkPolicyPort."""

    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    port: PortNumber | PortName | None = None
    end_port: PortNumber | None = None

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.end_port is not None and not (
            isinstance(self.port, int) and self.port <= self.end_port
        ):
            raise ValueError("endPort needs a port that is a number and not above it")
        return self


class SelectorTerm(_Strict):
    """LabelSelectorRequirement."""

    key: str = Field(min_length=1)
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _with_values(self) -> Self:
        if bool(self.values) != (self.operator in {"In", "NotIn"}):
            raise ValueError("In and NotIn need values, Exists and DoesNotExist have none")
        return self


class Selector(_Strict):
    """LabelSelector; an empty one selects everything."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[SelectorTerm, ...] = ()


class IpBlock(_Strict):
    """IPBlock."""

    cidr: Network
    without: tuple[Network, ...] = Field((), alias="except")

    @model_validator(mode="after")
    def _networks(self) -> Self:
        whole = ip_network(self.cidr)
        for part in map(ip_network, self.without):
            if part == whole or part.version != whole.version or not part.subnet_of(whole):  # type: ignore[arg-type]
                raise ValueError(f"{part} is no part of {whole}")
        return self


class Peer(_Strict):
    """NetworkPolicyPeer."""

    ip_block: IpBlock | None = None
    namespace_selector: Selector | None = None
    pod_selector: Selector | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.ip_block is None) == (
            self.namespace_selector is None and self.pod_selector is None
        ):
            raise ValueError(
                "a peer is either an ipBlock, or a namespaceSelector, a podSelector or both"
            )
        return self


class EgressRule(_Strict):
    """NetworkPolicyEgressRule; without `to` it allows everybody, without `ports` every port."""

    ports: tuple[EgressPort, ...] = ()
    to: tuple[Peer, ...] = ()


_RULES = TypeAdapter(list[EgressRule])


def egress(environment: Mapping[str, str], setting: str = "") -> Egress | None:
    """What the pods with this environment may connect to; None for everything.

    setting: more rules, as a JSON list of NetworkPolicyEgressRules, or the word `any`. Raises
    ValueError with a sentence that names the variable that is wrong.
    """
    if setting.strip() == ANY:
        return None
    found = [DNS]
    for name in ADDRESSES:
        try:
            rule = leading_to(environment.get(name, ""))
        except ValueError as wrong:
            # Not the value: there may be a password in it.
            raise ValueError(f"{name} is no URL: {wrong}") from wrong
        found += [rule] if rule is not None else []
    found += _more(setting)
    return tuple(rule for n, rule in enumerate(found) if rule not in found[:n])


def leading_to(url: str) -> Rule | None:
    """The rule that lets pods connect to this URL; None where it names no host. Raises ValueError
    where its host or port cannot be read.
    """
    parts = urlsplit(url)
    if parts.scheme not in USUAL_PORTS or not parts.hostname:
        return None
    host, ports = (
        parts.hostname.rstrip("."),
        [{"port": parts.port or USUAL_PORTS[parts.scheme], "protocol": "TCP"}],
    )
    if (address := _address(host)) is not None:
        return {"to": [_block(address)], "ports": ports}
    labels = host.split(".")
    if len(labels) == 1:
        # Only a Service in the pod's own namespace has so short a name.
        return {"to": [{"podSelector": {}}]}
    if namespace := _namespace(labels):
        # No port: a policy compares that of the pods, of which a Service's says nothing.
        return {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}}]}
    return {"to": [_block("0.0.0.0/0"), _block("::/0")], "ports": ports}


def _namespace(labels: list[str]) -> str:
    """The namespace in the name of a Service (`x.ns`, `x.ns.svc…`) or of a pod of a headless one;
    "" for other names.
    """
    if len(labels) == 2:
        return labels[1]
    return next((labels[n - 1] for n in (2, 3) if labels[n : n + 1] == ["svc"]), "")


def _address(host: str) -> str | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return f"{address}/{address.max_prefixlen}"


def _block(cidr: str) -> Rule:
    return {"ipBlock": {"cidr": cidr}}


def _more(setting: str) -> list[Rule]:
    """The rules of MODEL_EGRESS as the API server gives them back: what it leaves out must not look
    like a difference.
    """
    if not setting.strip():
        return []
    try:
        rules = _RULES.validate_json(setting)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        # Which of several kinds of value was tried is pydantic's own affair.
        parts = [part for part in first["loc"] if not str(part).startswith("constrained-")]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
        raise ValueError(
            f"MODEL_EGRESS{place}: {first['msg']}. Write a JSON list of NetworkPolicyEgressRules, "
            'for example [{"ports": [{"port": 443}]}], or the word any for no NetworkPolicy'
        ) from invalid
    found: list[Rule] = _without_empty([rule.to_api() for rule in rules])
    return found


def _without_empty(value: Any) -> Any:
    """Without empty lists and empty labels; an empty selector means everything and stays."""
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    if isinstance(value, dict):
        return {
            k: _without_empty(v)
            for k, v in value.items()
            if v != [] and (k, v) != ("matchLabels", {})
        }
    return value
