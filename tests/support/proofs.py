"""Keys and signed proofs of promotions, and every way to spoil one."""

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from rollout_operator.domain.api.names import PROOF
from rollout_operator.domain.api.status import Attempt, Status
from rollout_operator.domain.api.words import Phase, Verdict
from rollout_operator.domain.promotion_proof import (
    ALGORITHM,
    TYPE,
    ProofDemand,
    ProofRule,
    ProofSigner,
    demanded,
    proof_rules,
)
from tests.support.builders import at, revision

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@cache
def key(name: str) -> ed25519.Ed25519PrivateKey:
    """One key for each name."""
    return ed25519.Ed25519PrivateKey.generate()


def private_pem(of: Key) -> str:
    """As `openssl genpkey` writes it."""
    return of.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(of: Key) -> str:
    """As `openssl pkey -pubout` writes it."""
    public = of.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def promoted(version: int = 2, **changes: Any) -> Status:
    """A rollout that has promoted this version at second 60, by its gates."""
    stable = revision(version, promoted=True)
    ended = Attempt(
        attempt=3,
        uri=stable.uri,
        revision=stable.revision,
        verdict=Verdict.PROMOTED,
        reason="GatesPassed",
        message="accuracy 0.95 is at least 0.7",
        started=at(0),
        ended=at(60),
    )
    return Status(
        **{
            "phase": Phase.PROMOTED,
            "attempt": 3,
            "stable": stable,
            "history": (ended,),
            **changes,
        }
    )


META = {"namespace": "ml", "name": "iris", "uid": "0f4c"}


def proof(version: int = 2, signer: str = "staging", environment: str = "staging") -> str:
    """What an operator signs for a version that it has promoted as ml/iris at second 60."""
    return ProofSigner(environment, key(signer)).proof(META, promoted(version))


def signed(claims: dict[str, Any] | bytes, by: Key, **header: str) -> str:
    """Any claims, signed by any key."""
    raw = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    algorithm = ALGORITHM if isinstance(by, ed25519.Ed25519PrivateKey) else "ES256"
    return jwt.PyJWS().encode(raw, by, algorithm, {"typ": TYPE, **header})


@cache
def _rules() -> tuple[ProofRule, ...]:
    rule = {"promotedBy": ["staging/ml/iris"], "keys": [public_pem(key("staging"))]}
    return proof_rules(json.dumps([rule]))


def shown(version: int) -> ProofDemand:
    """A proof of staging is demanded, and that of this version is shown; 0: none is."""
    annotations = {PROOF: _proof(version)} if version else {}
    meta = {"namespace": "models", "name": "iris", "annotations": annotations}
    found = demanded(_rules(), meta)
    assert found is not None
    return found


@cache
def _proof(version: int) -> str:
    return proof(version)
