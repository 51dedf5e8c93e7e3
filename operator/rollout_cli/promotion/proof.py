"""What a promotion rests on, as the status of the rollout has it."""

from collections.abc import Mapping
from dataclasses import dataclass

from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Refused
from rollout_operator.domain.api.names import PROMOTED, PROOF
from rollout_operator.domain.api.status import Attempt, Status
from rollout_operator.domain.api.words import Phase
from rollout_operator.domain.promotion_proof import claims_in, proving_attempt

UNDER_WAY = (Phase.SWITCHING, Phase.SETTLING)
"""Promoted already, and not in history yet."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A version that was promoted, and why."""

    uri: str
    """models:/NAME/VERSION, pinned."""
    digest: str
    """`sha256:<hex>` of its files, which the pods had verified."""
    place: str
    """Where that was: ENVIRONMENT/NAMESPACE/NAME, or NAMESPACE/NAME."""
    attempt: Attempt
    """The attempt that ended in the promotion, with its gates."""
    named: bool = True
    """Whether the place says its environment."""
    signed: str = ""
    """The same, signed by the operator there; "" where it signs nothing."""

    @property
    def model(self) -> str:
        """Name of the registered model."""
        return model_of(self.uri)

    @property
    def version(self) -> str:
        """The registry's number."""
        return self.uri.rsplit("/", 1)[1]

    def annotations_over(self, before: Mapping[str, str]) -> dict[str, str]:
        """What a manifest with these annotations is to have: the proof as text, and signed. A
        signed one of another version does not stay.
        """
        signed = {PROOF: self.signed} if self.signed or before.get(PROOF) else {}
        return {PROMOTED: str(self), **signed}

    def stands_in(self, annotations: Mapping[str, str]) -> bool:
        """Whether these are a proof of the same version and files, of the same place; where the
        environment has no name here, of any. A signed one must be this very one.
        """
        annotation = annotations.get(PROMOTED, "")
        if annotations.get(PROOF, "") != self.signed:
            return False
        own = f"{self.uri} {self.digest} {self.attempt.verdict} by "
        return annotation.startswith(f"{own}{self.place}, " if self.named else own)

    def __str__(self) -> str:
        """One line, for the annotation: version and digest come first."""
        ended = self.attempt.ended.isoformat(timespec="seconds")
        return (
            f"{self.uri} {self.digest} {self.attempt.verdict} by {self.place}, attempt"
            f" {self.attempt.attempt}, {ended}"
        )


def model_of(uri: str) -> str:
    """The registered model of models:/NAME/VERSION or models:/NAME@ALIAS."""
    return uri.removeprefix("models:/").rsplit("/", 1)[0].split("@", 1)[0]


def proof_of(rollout: Rollout, environment: str) -> Proof:
    """The proof of what is stable; environment: a name for the text, "" for none. Raises Refused
    where nothing is proven (yet), Absent where history no longer has it.
    """
    status, stable = rollout.status, rollout.status.stable
    where, command = f"{rollout.namespace}/{rollout.name}", f"{rollout.name} -n {rollout.namespace}"
    if stable is None:
        raise Refused(
            f"{where} has promoted nothing yet, it is {status.phase}: wait with"
            f" `kubectl modelrollout status {command} --wait`."
        )
    if status.returning:
        raise Refused(
            f"{where} is on its way back from {stable.uri}, which failed in its watch: nothing is"
            " handed on."
        )
    if status.watch is not None:
        raise Refused(
            f"{stable.uri} is still watched in {where}, until"
            f" {status.watch.until:%Y-%m-%d %H:%M:%S} UTC: hand it on after that, or end the watch"
            f" with `kubectl modelrollout promote {command}`."
        )
    if not stable.digest:
        raise Refused(
            f"{where} does not know the content digest of {stable.uri}: without it nobody can tell"
            " that the next cluster serves the same files. Record it in the registry"
            " (docs/guides/models-in-mlflow.md)."
        )
    found = proving_attempt(status)
    if found is None and status.phase in UNDER_WAY:
        raise Refused(f"{where} is promoting {stable.uri} just now: ask again in a minute.")
    if found is None:
        raise Absent(
            f"The promotion of {stable.uri} is not among the last ten attempts of {where}: its"
            f" evidence is gone. `kubectl modelrollout retry {command}` gathers it anew."
        )
    signed_as = _signed_as(status, found)
    if environment and signed_as and environment != signed_as:
        raise Refused(
            f"The operator that has promoted {stable.uri} in {where} signs as {signed_as!r}: leave"
            " --from out, or write that."
        )
    environment = environment or signed_as
    return Proof(
        stable.uri,
        stable.digest,
        "/".join(filter(None, (environment, where))),
        found,
        bool(environment),
        status.proof if signed_as else "",
    )


def _signed_as(status: Status, ended: Attempt) -> str:
    """The environment that the operator's signed proof of this attempt names; "" where there is no
    such proof. Who has signed it, the next cluster finds out.
    """
    claims, stable = claims_in(status.proof) if status.proof else None, status.stable
    if claims is None or stable is None:
        return ""
    ours = (claims.uri, claims.digest, claims.attempt)
    return claims.iss if ours == (stable.uri, stable.digest, ended.attempt) else ""
