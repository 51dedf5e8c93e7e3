"""The programs that a release is published with, from Go modules, and how they are called."""

from dataclasses import dataclass
from pathlib import Path

from scripts.cluster import gobuild
from scripts.cluster.shell import run


def program(name: str) -> Path:
    """helm, oras, cosign, krew or registry; built first where it is missing."""
    component = {
        "helm": next(c for c in gobuild.COMPONENTS if c.name == "helm"),
        "oras": gobuild.ORAS,
        "cosign": gobuild.COSIGN,
        "krew": gobuild.KREW,
        "registry": gobuild.REGISTRY,
    }[name]
    gobuild.build(component)
    return component.folder / name


@dataclass(frozen=True, slots=True)
class Registry:
    """Where a release goes to."""

    place: str
    """HOST/PATH of images; charts are in the folder `charts` of it."""
    plain: bool = False
    """Whether it is spoken to without TLS, as the rehearsal's is."""

    def image(self, name: str) -> str:
        """Repository of an image."""
        return f"{self.place}/{name}"

    def chart(self, name: str) -> str:
        """Repository of a chart."""
        return f"{self.place}/charts/{name}"

    def oras(self, *words: str | Path, cwd: Path | None = None) -> str:
        """Run a command of oras; returns what it printed."""
        plain = ["--plain-http"] if self.plain else []
        return run([program("oras"), *words, *plain], cwd=cwd)

    def digest(self, reference: str) -> str:
        """`sha256:…` of what a tag names."""
        return self.oras("resolve", reference).strip().splitlines()[-1]


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: the workflow's own identity, or the rehearsal's key."""

    registry: Registry
    key: Path | None = None
    """A private key of cosign's; None for the workflow's identity, which needs no key."""

    def image(self, reference: str) -> None:
        """Sign what a digest names, an index with the images that it lists."""
        self._cosign("sign", "--recursive", *self._remote(), reference)

    def statement(self, reference: str, kind: str, predicate: Path) -> None:
        """Sign a statement about it, such as its list of parts."""
        words = ("--type", kind, "--predicate", predicate)
        self._cosign("attest", *words, *self._remote(), reference)

    def file(self, file: Path) -> Path:
        """Sign a file; the signature lies beside it, as FILE.sigstore.json."""
        bundle = file.with_name(f"{file.name}.sigstore.json")
        self._cosign("sign-blob", "--bundle", bundle, file)
        return bundle

    def _cosign(self, command: str, *words: str | Path) -> None:
        offline: list[str | Path] = (
            []
            if self.key is None
            else ["--key", self.key, "--use-signing-config=false", "--tlog-upload=false"]
        )
        run(
            [program("cosign"), command, "--yes", *offline, *words],
            env={"COSIGN_PASSWORD": ""} if self.key else None,
        )

    def _remote(self) -> list[str]:
        return ["--allow-http-registry"] if self.registry.plain else []
