"""Signatures of OpenSSF Model Signing 1.0 by keys, verified offline: who signed a model's files,
and that they are still the files that were signed.

`model.sig`, as `model_signing sign key` writes it, is a Sigstore bundle (docs.sigstore.dev/about/
bundle) around a DSSE envelope (github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md), whose
payload is an in-toto statement with the predicate https://model_signing/signature/v1.0 of
github.com/sigstore/model-transparency: the sha256 of each file, by its path.

The tool itself needs fifteen packages of Sigstore, for logs and identities on the internet.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout_model.digest import LEFT_OUT
from rollout_model.errors import LoadFailed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

SIGNATURE = "model.sig"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
MOST = 16 * 1024 * 1024
"""Bytes of a signature."""
HOW = "sign it with `model_signing sign key FOLDER --private_key KEY --signature FOLDER/model.sig`"


def verify_signature(folder: Path, files: Mapping[str, str], keys: Iterable[str]) -> None:
    """Raises LoadFailed unless one of the keys signed exactly these files.

    files: the hex sha256 of each, by its path in `folder`; keys: public ones in PEM, of the curves
    P-256, P-384 and P-521.
    """
    path = folder / SIGNATURE
    if not path.is_file():
        raise LoadFailed(
            f"The model is not signed: it has no {SIGNATURE}. The operator's models.digests is"
            f" Signed: before the model is rolled out, {HOW}."
        )
    if path.stat().st_size > MOST:
        raise LoadFailed(f"{SIGNATURE} has more than {MOST} bytes.")
    try:
        bundle = json.loads(path.read_text())
        if bundle["mediaType"] != BUNDLE:
            raise ValueError(f"it is {bundle['mediaType']}, and {BUNDLE} is what is read")
        envelope = bundle["dsseEnvelope"]
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"])
        signatures = [base64.b64decode(one["sig"]) for one in envelope["signatures"]]
        signer = _signer(kind.encode(), payload, signatures, keys)
        signed = _signed(kind, json.loads(payload)) if signer else {}
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise LoadFailed(f"{SIGNATURE} cannot be read: {failure}. Please {HOW}.") from failure
    if not signer:
        raise LoadFailed(
            "The model is signed by nobody that models.signers names: its signature fits none of"
            " their keys."
        )
    _compare({n: d for n, d in files.items() if n != SIGNATURE}, signed)


def public_key(pem: str) -> "EllipticCurvePublicKey":
    """Raises ValueError for what is none of the three curves' keys."""
    # It is no part of a server that verifies no signature.
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    key = load_pem_public_key(pem.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size not in {256, 384, 521}:
        raise ValueError("a key that is none of P-256, P-384 and P-521")
    return key


def _signer(kind: bytes, payload: bytes, signatures: list[bytes], keys: Iterable[str]) -> bool:
    """Whether one of the keys made one of the signatures."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    # PAE of the DSSE protocol.
    told = b" ".join((b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload))
    hashing = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    for key in map(public_key, keys):
        for signature in signatures:
            try:
                key.verify(signature, told, ec.ECDSA(hashing[key.curve.key_size]))
            except InvalidSignature:
                continue
            return True
    return False


def _signed(kind: str, statement: Mapping[str, Any]) -> dict[str, str]:
    """What was signed, by path. Raises ValueError, KeyError or TypeError for another statement."""
    for what, said, read in (
        ("payload", kind, PAYLOAD),
        ("statement", statement["_type"], STATEMENT),
        ("predicate", statement["predicateType"], PREDICATE),
    ):
        if said != read:
            raise ValueError(f"its {what} is {said}, and {read} is what is read")
    resources = statement["predicate"]["resources"]
    if other := {one["algorithm"] for one in resources} - {"sha256"}:
        raise ValueError(f"files are hashed by {', '.join(sorted(other))}, and sha256 is read")
    found = {str(one["name"]): str(one["digest"]) for one in resources}
    return {name: digest for name, digest in found.items() if name not in LEFT_OUT}


def _compare(files: Mapping[str, str], signed: Mapping[str, str]) -> None:
    """Raises LoadFailed with the first file that is another."""
    for name in sorted({*files, *signed}):
        if name not in signed:
            raise LoadFailed(f"The model is not what was signed: {name} was added.")
        if name not in files:
            raise LoadFailed(f"The model is not what was signed: {name} is missing.")
        if files[name] != signed[name]:
            raise LoadFailed(f"The model is not what was signed: {name} was changed.")
