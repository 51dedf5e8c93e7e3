"""The proof that a version was promoted elsewhere before: made and signed by the operator that has
promoted it, verified by the one that is to try it.

A JSON Web Signature (RFC 7515, compact) by Ed25519 (RFC 8037), of a type of its own (RFC 8725,
3.11): what the same key signs for something else is none. Its claims are named as RFC 7519 names
them, where it has a name.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from rollout_operator.domain.api.api_types import PUBLIC_KEY, ApiModel, Duration
from rollout_operator.domain.api.names import PROOF
from rollout_operator.domain.api.status import LONGEST_PROOF, Attempt, Status
from rollout_operator.domain.api.words import Reason, Verdict
from rollout_operator.domain.configured import NamespacePattern, from_json, is_for

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ENVIRONMENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
"""What an environment may be called: a label's value, so that a policy can ask for it."""
ALGORITHM, TYPE = "EdDSA", "promotion-proof+jwt"
SKEW = timedelta(minutes=5)
"""How far the clocks of two clusters may be apart."""
EXAMPLE = (
    '[{"namespaces": ["production"], "promotedBy": ["staging/ml/{name}"], "maxAge": "720h",'
    ' "keys": ["-----BEGIN PUBLIC KEY-----\\n…\\n-----END PUBLIC KEY-----\\n"]}]'
)
SHOWN_PLACES = 300
"""Characters of the places that a sentence names."""
MAKE_A_KEY = "`openssl genpkey -algorithm ed25519`"
_PLACE = r"^[A-Za-z0-9*?{}_.-]{1,63}/[a-z0-9*?{}-]{1,63}/[a-z0-9*?{}.-]{1,253}$"


class Claims(ApiModel, extra="forbid", strict=True):
    """What is signed."""

    iss: str
    """The environment that it was promoted in."""
    sub: str
    """Namespace and name of the ModelRollout there."""
    uid: str
    """Its metadata.uid: which one of this name it was."""
    uri: str
    """The version, models:/<name>/<version>."""
    digest: str
    """`sha256:<hex>` of its files, which pods there had verified."""
    attempt: int
    """The attempt that ended in its promotion."""
    verdict: Literal["Promoted"]
    """How that ended."""
    reason: str
    """Why: a Reason."""
    gates: str
    """`sha256:<hex>` of the attempt's gates in status.history, as compact JSON with sorted keys."""
    iat: int = Field(ge=0, le=253_402_300_799)
    """When it was promoted: Unix time in seconds."""

    @property
    def place(self) -> str:
        """Where that was: ENVIRONMENT/NAMESPACE/NAME."""
        return f"{self.iss}/{self.sub}"

    @property
    def at(self) -> datetime:
        """When it was promoted, UTC."""
        return datetime.fromtimestamp(self.iat, UTC)


def proving_attempt(status: Status) -> Attempt | None:
    """The attempt by which what is stable was promoted; None where history no longer has it.

    To be restored from pods that still ran says nothing new: the attempt before that measured.
    """
    stable = status.stable
    found = [
        ended
        for ended in status.history
        if stable is not None
        and ended.revision == stable.revision
        and ended.verdict is Verdict.PROMOTED
    ]
    measured = (ended for ended in found if ended.reason != Reason.RESTORED)
    return next(measured, found[0] if found else None)


def claims_of(meta: Mapping[str, Any], status: Status, environment: str) -> Claims | None:
    """What can be said of what is stable; None while it is watched, or on its way back, and where
    its digest or its attempt is not known.
    """
    stable, ended = status.stable, proving_attempt(status)
    if stable is None or ended is None or not stable.digest:
        return None
    if status.watch is not None or status.returning:
        return None
    gates = [gate.to_api() for gate in ended.gates]
    compact = json.dumps(gates, sort_keys=True, separators=(",", ":"))
    return Claims(
        iss=environment,
        sub=f"{meta['namespace']}/{meta['name']}",
        uid=meta["uid"],
        uri=stable.uri,
        digest=stable.digest,
        attempt=ended.attempt,
        verdict="Promoted",
        reason=str(ended.reason),
        gates=f"sha256:{sha256(compact.encode()).hexdigest()}",
        iat=int(ended.ended.timestamp()),
    )


def claims_in(proof: str) -> Claims | None:
    """What a proof says, whoever has signed it; None where it says nothing."""
    try:
        return Claims.model_validate_json(base64.urlsafe_b64decode(f"{proof.split('.')[1]}=="))
    except (IndexError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class ProofSigner:
    """Signs for what this operator has promoted."""

    environment: str
    """What this cluster, or this operator's part of it, is called."""
    key: "Ed25519PrivateKey" = field(repr=False)

    def proof(self, meta: Mapping[str, Any], status: Status) -> str:
        """The proof of what is stable, always the same text; "" where there is none."""
        claims = claims_of(meta, status, self.environment)
        return "" if claims is None else _sign(self.key, claims.model_dump_json())


@lru_cache(maxsize=4096)
def _sign(key: "Ed25519PrivateKey", payload: str) -> str:
    import jwt  # noqa: PLC0415 - as `_public`

    return jwt.PyJWS().encode(payload.encode(), key, ALGORITHM, {"typ": TYPE})


def with_proof(signer: ProofSigner | None, meta: Mapping[str, Any], status: Status) -> Status:
    """The status with the proof of what is stable; the same object where nothing changes."""
    proof = "" if signer is None else signer.proof(meta, status)
    return status if proof == status.proof else status.model_copy(update={"proof": proof})


def proof_signer(key: str, environment: str) -> ProofSigner | None:
    """Whoever signs by PROOF_KEY, a private key in PEM, as PROOF_ENVIRONMENT; None for neither.
    Raises ValueError, which never says the key.
    """
    key, environment = key.strip(), environment.strip()
    if not key and not environment:
        return None
    if not key or not environment:
        raise ValueError(
            "PROOF_KEY and PROOF_ENVIRONMENT belong together: set both, or neither"
            " (promotionProof.signingKey and promotionProof.environment of the chart)"
        )
    if not ENVIRONMENT.fullmatch(environment):
        raise ValueError(
            f"PROOF_ENVIRONMENT={environment!r} is no name: write one as a label's value, such as"
            " staging"
        )
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as `_public`
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise ValueError(
            "PROOF_KEY is no private key of Ed25519 in PEM without a password: make one by"
            f" {MAKE_A_KEY}"
        )
    return ProofSigner(environment, private)


def _public(pem: str) -> "Ed25519PublicKey":
    """Raises ValueError for what is no public key of Ed25519."""
    # It is no part of an operator that neither signs nor verifies.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise ValueError(
            f"a key that is none of Ed25519: make one by {MAKE_A_KEY}, and write what `openssl pkey"
            " -pubout` says of it"
        )
    return key


_SAYS_IT = "write what `openssl pkey -in key.pem -pubout` says of the key.pem that signs"


def _is_key(pem: str) -> str:
    if "PRIVATE KEY" in pem:
        raise ValueError(
            f"a private key, which was shown here and is to be made anew: {_SAYS_IT} then"
        )
    if not re.fullmatch(PUBLIC_KEY, pem):
        raise ValueError(f"no public key in PEM, of which each entry has one: {_SAYS_IT}")
    _public(pem)
    return pem


def _is_place(pattern: str) -> str:
    if not re.fullmatch(_PLACE, pattern):
        raise ValueError(
            f"{pattern!r} is not ENVIRONMENT/NAMESPACE/NAME, in which * and ? stand for others:"
            " write staging/ml/{name}"
        )
    if set("{}") & set(pattern.replace("{namespace}", "").replace("{name}", "")):
        raise ValueError(
            "beside {namespace} and {name} there is nothing to fill in: write staging/ml/{name}"
        )
    return pattern


def _is_time(age: Duration) -> Duration:
    if not age:
        raise ValueError(f"{age} lets nothing in: write 720h, or leave it out for no end")
    return age


class ProofRule(ApiModel, extra="forbid"):
    """What a version must bring with it, in some namespaces, before it is tried there."""

    namespaces: tuple[NamespacePattern, ...] = Field(("*",), min_length=1)
    """Patterns of namespaces (`prod-*`) whose rollouts it is for."""
    promoted_by: tuple[Annotated[str, AfterValidator(_is_place)], ...] = Field(
        min_length=1, max_length=50
    )
    """Patterns ENVIRONMENT/NAMESPACE/NAME of the ModelRollouts whose word counts; {namespace} and
    {name} stand for those of the rollout that is to try it.
    """
    keys: tuple[Annotated[str, Field(max_length=2_000), AfterValidator(_is_key)], ...] = Field(
        min_length=1, max_length=20
    )
    """Public keys of Ed25519, in PEM, one of which must have signed."""
    max_age: Annotated[Duration, AfterValidator(_is_time)] | None = None
    """How long after its promotion a proof counts; None: for ever."""
    reasons: tuple[Reason, ...] = Field((Reason.GATES_PASSED,), min_length=1)
    """Why it may have been promoted there: by its gates alone, unless more is written."""


_READER = TypeAdapter(tuple[ProofRule, ...])


def proof_rules(text: str) -> tuple[ProofRule, ...]:
    """The entries of PROMOTION_PROOF, a JSON list; empty for "". Raises ValueError."""
    if not text.strip():
        return ()
    return from_json("PROMOTION_PROOF", text, list, _READER, EXAMPLE)


@dataclass(frozen=True, slots=True)
class ProofDemand:
    """What is demanded of a rollout, and what it shows."""

    rule: ProofRule
    namespace: str
    name: str
    proof: str
    """Its annotation; "" for none."""

    @property
    def places(self) -> tuple[str, ...]:
        """Patterns of the ModelRollouts whose word counts here."""
        own = {"namespace": self.namespace, "name": self.name}
        return tuple(pattern.format(**own) for pattern in self.rule.promoted_by)

    def lacks(self, uri: str, digest: str, now: datetime) -> str:
        """Why a version may not be tried, as a sentence that says what to do; "" where it may.

        digest: of its files; "" where it is not known yet, and is not compared.
        """
        where = _some(self.places)
        bring = "bring its proof here by `kubectl modelrollout promote-to`"
        if not self.proof:
            return (
                f"{uri} has no proof that it was promoted before, which namespace"
                f" {self.namespace} needs: promote it as {where}, and {bring}, which writes the"
                f" annotation {PROOF}."
            )
        why = self._wrong(uri, digest, now)
        return why and (
            f"The proof of {uri} does not count: {why}. Promote it as {where}, and {bring}."
        )

    def _wrong(self, uri: str, digest: str, now: datetime) -> str:
        if len(self.proof) > LONGEST_PROOF:
            # Looked at before it is remembered: an annotation may have 256 KiB.
            return f"it has {len(self.proof)} characters, and at most {LONGEST_PROOF} are read"
        claims = _signed(self.proof, self.rule.keys)
        if not isinstance(claims, Claims):
            return claims
        if claims.uri != uri:
            return f"it is of {claims.uri}"
        if digest and claims.digest != digest:
            return f"it is of other files, {claims.digest}, and those here have {digest}"
        if not any(_is_at(claims.place, pattern) for pattern in self.places):
            return f"it is of {claims.place}"
        if claims.reason not in self.rule.reasons:
            counts = " or ".join(self.rule.reasons)
            return f"it was promoted there for {claims.reason}, and only {counts} counts here"
        return _untimely(claims.at, self.rule.max_age, now)


def _some(places: tuple[str, ...]) -> str:
    """As many as leave room for what is to be done: a condition has an end."""
    shown = [
        place
        for number, place in enumerate(places)
        if number == 0 or sum(map(len, places[: number + 1])) < SHOWN_PLACES
    ]
    others = len(places) - len(shown)
    return " or ".join([*shown, *([f"one of {others} others"] if others else [])])


def _untimely(at: datetime, most: Duration | None, now: datetime) -> str:
    said = f"it was promoted at {at:%Y-%m-%d %H:%M:%S} UTC"
    if at > now + SKEW:
        return f"{said}, which is yet to come, so one of the clocks is wrong"
    if most is not None and now - at > most:
        return f"{said}, more than {most} ago"
    return ""


def _is_at(place: str, pattern: str) -> bool:
    """Part by part: no wildcard goes over a slash."""
    parts, patterns = place.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(
        is_for(part, (one,)) for part, one in zip(parts, patterns, strict=True)
    )


@lru_cache(maxsize=1024)
def _signed(proof: str, keys: tuple[str, ...]) -> Claims | str:
    """What one of the keys has signed; or what is wrong with it."""
    import jwt  # noqa: PLC0415 - as `_public`

    reader, said = jwt.PyJWS(), None
    for key in map(_public, keys):
        try:
            said = reader.decode_complete(proof, key, [ALGORITHM])
            break
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError:
            return "it cannot be read, it was cut or changed"
    if said is None:
        return (
            "none of the keys that the operator's promotionProof.required lists has signed it, or"
            " it was changed since"
        )
    if said["header"].get("typ") != TYPE:
        return f"what is signed is no {TYPE}"
    try:
        return Claims.model_validate_json(said["payload"])
    except ValidationError as failure:
        first = failure.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"it is of an operator that this one does not understand ({where}: {first['msg']})"


def demanded(rules: Iterable[ProofRule], meta: Mapping[str, Any]) -> ProofDemand | None:
    """What is demanded of a rollout, by the first entry that is for its namespace; None for
    nothing.
    """
    namespace, name = meta["namespace"], meta["name"]
    rule = next((one for one in rules if is_for(namespace, one.namespaces)), None)
    if rule is None:
        return None
    return ProofDemand(rule, namespace, name, (meta.get("annotations") or {}).get(PROOF, ""))
