"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from rollout_cli.output_format import Output


def names(incomplete: str) -> list[str]:
    """Completion: rollouts of the namespace that a shell would ask about; none where the cluster
    does not answer.
    """
    # Deferred: it asks the cluster, and only completion of a name needs that.
    from rollout_cli.cluster.completers import rollout_names  # noqa: PLC0415

    return [name for name in rollout_names() if name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(help="Name of the ModelRollout.", autocompletion=names)]
MaybeName = Annotated[
    str | None,
    typer.Argument(help="Name of the ModelRollout; all of them without.", autocompletion=names),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "-n", "--namespace", help="Namespace; else that of the context.", rich_help_panel="Cluster"
    ),
]
Context = Annotated[
    str | None,
    typer.Option("--context", help="Context of the kubeconfig.", rich_help_panel="Cluster"),
]
Kubeconfig = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig", help="Path of the kubeconfig; else KUBECONFIG.", rich_help_panel="Cluster"
    ),
]
Prometheus = Annotated[
    str | None,
    typer.Option(
        "--prometheus",
        help=(
            "http://HOST:PORT, or NAMESPACE/SERVICE:PORT through the API server; else"
            " MODELROLLOUT_PROMETHEUS, else the operator's own."
        ),
        rich_help_panel="Cluster",
    ),
]
Format = Annotated[
    Output | None, typer.Option("-o", "--output", help="Print for programs, or more (wide).")
]
Everywhere = Annotated[bool, typer.Option("-A", "--all-namespaces", help="In all namespaces.")]
