"""Command line of the bridge."""

import asyncio
import os
from pathlib import Path

import click

from rollout_bridge import mappings
from rollout_bridge.logs import configure
from rollout_bridge.settings import Settings, SettingsError
from rollout_bridge.webhook import DEFAULT_WORKSPACE


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The webhook bridge: MLflow's signed webhooks become ModelRollouts, or GitHub dispatches."""


@main.command()
def run() -> None:
    """Answer webhooks at POST /webhooks/mlflow, by the pod's service account or KUBECONFIG.

    Needs in the environment MAPPINGS_FILE (see `check`); for mappings WEBHOOK_SECRET (the secret
    that the webhook has in MLflow, at least 16 characters); for reverts EVENT_KEY (the signingKey
    of the operator's destination, likewise); if one asks GitHub, GITHUB_TOKEN. Takes
    WEBHOOK_SECRET_PREVIOUS (also taken, while the secret changes), GITHUB_API_URL
    (https://api.github.com), PORT (8080), METRICS_PORT (8081, for /healthz and /metrics),
    MAX_AGE_SECONDS (300, how old or early a webhook may be), MAX_BODY_BYTES (65536),
    RETRY_AFTER_SECONDS (30, when MLflow sends a webhook again that could not be carried out) and
    LOG_LEVEL (INFO).
    """
    try:
        settings = Settings.from_environment(os.environ)
        known = mappings.read(settings.mappings_file)
        _check_secrets(settings, known)
    except (SettingsError, mappings.MappingsError) as error:
        raise click.UsageError(str(error)) from error
    configure(settings.log_level)
    from rollout_bridge.server import serve  # noqa: PLC0415 - slow to import, and `check` does without

    asyncio.run(serve(settings, known))


def _check_secrets(settings: Settings, known: mappings.Mappings) -> None:
    """Raises SettingsError for one that is missing, and needed."""
    if known.mappings and not settings.secrets:
        raise SettingsError("set WEBHOOK_SECRET to the secret that the webhook has in MLflow")
    if known.dispatches and not settings.github_token:
        raise SettingsError("set GITHUB_TOKEN: a mapping dispatches to GitHub")
    if known.reverts and not settings.event_keys:
        raise SettingsError(
            "set EVENT_KEY to what the Secret of the operator's destination has as signingKey:"
            " there are reverts"
        )
    if known.reverts and not settings.github_token:
        raise SettingsError("set GITHUB_TOKEN: reverts open pull requests")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Read a mapping FILE and say what it does; exit code 1 with a sentence where it cannot be
    used.
    """
    try:
        known = mappings.read(file)
    except mappings.MappingsError as error:
        raise click.ClickException(str(error)) from error
    for one in known.mappings:
        workspace = "" if one.workspace == DEFAULT_WORKSPACE else f" in workspace {one.workspace}"
        made = (
            ", which is made where there is none"
            if one.rollout is not None and one.rollout.template is not None
            else ""
        )
        click.echo(f"models:/{one.model}@{one.alias}{workspace} -> {one.target}{made}")
    for revert in known.reverts:
        click.echo(f"rolled back: ModelRollout {revert.namespace}/{revert.name} -> {revert}")


if __name__ == "__main__":
    main()
