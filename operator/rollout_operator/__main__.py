"""Command line of the operator."""

import asyncio
import os

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The rollout operator: owns ModelRollouts in a Kubernetes cluster."""


@main.command()
def run() -> None:
    """Run the operator, by the pod's service account or KUBECONFIG.

    Needs INFERENCE_IMAGE, PROMETHEUS_URL and MLFLOW_TRACKING_URI in the environment; takes
    WATCH_NAMESPACES (comma-separated, empty for all), ROUTER_DRAIN_SECONDS (10), GATEWAY_NAMESPACE
    (empty for each rollout's own), GATEWAY_MIRRORS (false), ROUTES_ASK (true: ask routers whether a
    route leads to its rollout), SHARD (empty for all ModelRollouts, else those with that value of
    the label rollouts.mlops.dev/shard), MODEL_EGRESS (whom model servers may connect to besides
    DNS, MLflow and OTEL_EXPORTER_OTLP_ENDPOINT: a JSON list of NetworkPolicyEgressRules, or `any`
    for no NetworkPolicy), LOG_LEVEL, METRICS_PORT and HEALTH_PORT.
    """
    # kopf is slow to import, and `crd` does without.
    from rollout_operator import process  # noqa: PLC0415
    from rollout_operator.handlers import HANDLERS  # noqa: PLC0415
    from rollout_operator.settings import Settings, SettingsError  # noqa: PLC0415

    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    process.run(settings, HANDLERS)


@main.command("test-messages")
@click.argument("names", nargs=-1)
def test_messages(names: tuple[str, ...]) -> None:
    """Send a test message to the destinations of MESSAGES, or to those that are named; says of each
    whether it took it, and exits 1 where one did not.
    """
    from rollout_operator.controller.message_senders import try_out  # noqa: PLC0415
    from rollout_operator.domain.outbox import destinations  # noqa: PLC0415

    try:
        given = destinations(os.environ.get("MESSAGES", ""))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    chosen = [one for one in given if not names or one.name in names]
    if not chosen or {*names} - {one.name for one in given}:
        known = ", ".join(one.name for one in given) or "none"
        raise click.UsageError(f"no such destination; MESSAGES has {known}")

    async def tried() -> list[str]:
        return [f"{name}: {failure or 'delivered'}" async for name, failure in try_out(chosen, 30)]

    lines = asyncio.run(tried())
    click.echo("\n".join(lines))
    if not all(line.endswith(": delivered") for line in lines):
        raise SystemExit(1)


@main.command()
def crd() -> None:
    """Print the CustomResourceDefinition as YAML."""
    from rollout_operator.crd import crd_yaml  # noqa: PLC0415

    click.echo(crd_yaml(), nl=False)


if __name__ == "__main__":
    main()
