"""The text of a pull request that hands a version on: what was promoted, where, and why."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from rollout_cli.promotion.github_api import branch_name
from rollout_cli.promotion.markdown import code, table
from rollout_cli.promotion.proof import Proof
from rollout_cli.view.acts import act
from rollout_cli.view.formatting import share

LONGEST = 60_000
"""Characters of a body; GitHub takes 65,536."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What is opened."""

    branch: str
    """Made of what is handed on, and where to: the same request has the same branch."""
    title: str
    """Also the commit's first line."""
    body: str
    """Markdown."""


def pull_request(proof: Proof, name: str, file: str, base: str) -> PullRequest:
    """name: the ModelRollout that is to ask for it; file: its manifest's path; base: the branch
    that is to change.
    """
    place = hashlib.sha256(f"{proof.digest}\n{file}\n{base}".encode()).hexdigest()
    return PullRequest(
        branch_name("promote", name, proof.model, f"{proof.version}-{place[:8]}"),
        f"{name}: {proof.uri}, promoted by {proof.place}",
        "\n".join(_body(proof, name, file))[:LONGEST],
    )


def _body(proof: Proof, name: str, file: str) -> Iterator[str]:
    attempt = proof.attempt
    yield f"ModelRollout {code(name)} in {code(file)} is to ask for {code(proof.uri)}."
    yield ""
    yield from table(
        ("what", "value"),
        [
            ("version", proof.uri),
            ("content digest", proof.digest),
            ("promoted by", proof.place),
            ("proof", "signed by the operator there" if proof.signed else "text, not signed"),
            ("attempt", f"{attempt.attempt}, revision {attempt.revision}"),
            ("verdict", f"{attempt.verdict}: {attempt.reason}"),
            ("why", attempt.message),
            ("began", f"{attempt.started:%Y-%m-%d %H:%M:%S} UTC"),
            ("ended", f"{attempt.ended:%Y-%m-%d %H:%M:%S} UTC"),
        ],
    )
    yield ""
    if attempt.gates:
        yield from table(
            ("gate", "value", "threshold", "samples", "measurement"),
            [
                (
                    gate.metric,
                    "-" if gate.value is None else share(gate.value),
                    share(gate.threshold),
                    "-" if gate.samples is None else str(gate.samples),
                    str(gate.measurement),
                )
                for gate in attempt.gates
            ],
        )
    else:
        yield "No gate was measured in that attempt."
    for done in attempt.acts:
        yield ""
        yield f"A person's command: {code(act(done))}"
    yield ""
    yield (
        "The next cluster tries it by its own gates. What was promoted elsewhere is evidence, and"
        " no promise."
    )
