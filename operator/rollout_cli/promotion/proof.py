"""What a promotion rests on, as the status of the rollout has it."""

from dataclasses import dataclass

from rollout_cli.api.rollout import Rollout
from rollout_cli.exit_codes import Absent, Refused
from rollout_operator.domain.api.status import Attempt
from rollout_operator.domain.api.words import Phase, Verdict

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

    @property
    def model(self) -> str:
        """Name of the registered model."""
        return model_of(self.uri)

    @property
    def version(self) -> str:
        """The registry's number."""
        return self.uri.rsplit("/", 1)[1]

    def stands_in(self, annotation: str) -> bool:
        """Whether that is a proof of the same version and files, of the same place; where the
        environment has no name here, of any.
        """
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
    where = f"{rollout.namespace}/{rollout.name}"
    if stable is None:
        raise Refused(
            f"{where} has promoted nothing yet, it is {status.phase}: wait with"
            f" `kubectl modelrollout status {rollout.name} --wait`."
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
            f" with `kubectl modelrollout promote {rollout.name}`."
        )
    if not stable.digest:
        raise Refused(
            f"{where} does not know the content digest of {stable.uri}: without it nobody can tell"
            " that the next cluster serves the same files. Record it in the registry"
            " (docs/guides/models-in-mlflow.md)."
        )
    found = next(
        (
            ended
            for ended in status.history
            if ended.revision == stable.revision and ended.verdict is Verdict.PROMOTED
        ),
        None,
    )
    if found is None and status.phase in UNDER_WAY:
        raise Refused(f"{where} is promoting {stable.uri} just now: ask again in a minute.")
    if found is None:
        raise Absent(
            f"The promotion of {stable.uri} is not among the last ten attempts of {where}: its"
            " evidence is gone. `kubectl modelrollout retry` gathers it anew."
        )
    return Proof(
        stable.uri,
        stable.digest,
        "/".join(filter(None, (environment, where))),
        found,
        bool(environment),
    )
