"""Models that OpenSSF's own tool has signed: who is trusted, and what was changed afterwards."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from model_signing import hashing, signing, verifying

from rollout_inference.loading.loader import load_folder
from rollout_inference.settings import Settings, SettingsError
from rollout_model.artifact import verified_files
from rollout_model.errors import LoadFailed
from rollout_model.load_policy import LoadPolicy
from rollout_model.model_signature import SIGNATURE

CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A key as the tool wants it."""

    private: Path
    public: str


def pem(key: Any) -> str:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return str(public.decode())


def pair(folder: Path, curve: ec.EllipticCurve) -> Pair:
    key = ec.generate_private_key(curve)
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return Pair(private, pem(key))


def sign(folder: Path, key: Pair, algorithm: Literal["sha256", "blake3"] = "sha256") -> None:
    """As `model_signing sign key` does."""
    path = folder / SIGNATURE
    hashed = hashing.Config()  # type: ignore[no-untyped-call]
    hashed.set_ignored_paths(paths=[path]).use_file_serialization(hashing_algorithm=algorithm)
    config = signing.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_signer(private_key=key.private).set_hashing_config(hashed)
    config.sign(folder, path)


@pytest.fixture(params=list(CURVES.values()), ids=list(CURVES))
def key(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    return pair(tmp_path, request.param)


def test_what_a_trusted_key_signed_is_served(copy: Path, key: Pair) -> None:
    (copy / "registered_model_meta").write_text("MLflow writes it into every download")
    sign(copy, key)
    public = key.private.with_name("public.pem")
    public.write_text(key.public)
    tool = verifying.Config()  # type: ignore[no-untyped-call]
    tool.use_elliptic_key_verifier(public_key=public).verify(copy, copy / SIGNATURE)
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    settings = Settings(model_path=copy, signers=(other, key.public))
    assert load_folder(copy, settings).digest.startswith("sha256:")
    (copy / "registered_model_meta").unlink()
    verified_files(copy, settings.load_policy)


def change(folder: Path) -> None:
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text() + "\n")


def add(folder: Path) -> None:
    (folder / "later.py").write_text("")


def take(folder: Path) -> None:
    (folder / "metrics.json").unlink()


def unsign(folder: Path) -> None:
    (folder / SIGNATURE).unlink()


def edit(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Spoils the signature file."""

    def spoil(folder: Path) -> None:
        said = json.loads((folder / SIGNATURE).read_text())
        change(said)
        (folder / SIGNATURE).write_text(json.dumps(said))

    return spoil


def text(folder: Path) -> None:
    (folder / SIGNATURE).write_text("signed, honestly")


def of_another_payload(said: dict[str, Any]) -> None:
    said["dsseEnvelope"]["payload"] = "e30="


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no signature": (unsign, "The model is not signed: it has no model.sig"),
    "a file that was changed": (change, "not what was signed: MLmodel was changed"),
    "a file that was added": (add, "not what was signed: later.py was added"),
    "a file that is missing": (take, "not what was signed: metrics.json is missing"),
    "a signature of something else": (edit(of_another_payload), "signed by nobody that"),
    "no signature in it": (
        edit(lambda said: said["dsseEnvelope"].update(signatures=[])),
        "signed by nobody that",
    ),
    "another bundle": (edit(lambda said: said.update(mediaType="v0.1")), "it is v0.1, and"),
    "no bundle": (edit(lambda said: said.clear()), "model.sig cannot be read: 'mediaType'"),
    "no JSON": (text, "model.sig cannot be read: Expecting value"),
}


@pytest.mark.parametrize(("spoil", "told"), SPOILED.values(), ids=SPOILED.keys())
def test_what_is_not_what_was_signed_is_refused(
    copy: Path, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    key = pair(tmp_path, ec.SECP256R1())
    sign(copy, key)
    spoil(copy)
    with pytest.raises(LoadFailed, match=told):
        verified_files(copy, LoadPolicy(signers=(key.public,)))


def test_a_signature_of_somebody_else_is_refused(copy: Path, tmp_path: Path) -> None:
    sign(copy, pair(tmp_path, ec.SECP256R1()))
    others = tuple(pem(ec.generate_private_key(curve)) for curve in CURVES.values())
    with pytest.raises(LoadFailed, match=r"signed by nobody that models\.signers names"):
        verified_files(copy, LoadPolicy(signers=others))


def test_another_hash_than_sha256_is_said(copy: Path, tmp_path: Path) -> None:
    key = pair(tmp_path, ec.SECP256R1())
    sign(copy, key, "blake3")
    with pytest.raises(LoadFailed, match="files are hashed by blake3, and sha256 is read"):
        verified_files(copy, LoadPolicy(signers=(key.public,)))


def test_signed_or_not_counts_where_nobody_asks_only(copy: Path, tmp_path: Path) -> None:
    before = verified_files(copy, LoadPolicy())
    shutil.copytree(copy, tmp_path / "signed")
    sign(tmp_path / "signed", pair(tmp_path, ec.SECP256R1()))
    after = verified_files(tmp_path / "signed", LoadPolicy())
    assert before.items() < after.items()


WRONG: dict[str, str] = {
    "no JSON": "a key",
    "no objects": '["a key"]',
    "no key": '[{"identity": "me"}]',
    "no PEM": '[{"key": "a key"}]',
    "a key of another kind": json.dumps([{"key": pem(ed25519.Ed25519PrivateKey.generate())}]),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_signers_that_are_none_end_the_server(text: str) -> None:
    with pytest.raises(SettingsError, match=r"MODEL_SIGNERS cannot be read: .*P-256"):
        Settings.from_environment({"MODEL_PATH": "model", "MODEL_SIGNERS": text})
