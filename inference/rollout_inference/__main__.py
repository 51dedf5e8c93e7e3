"""Command line of the model server."""

import argparse
import os
import sys

DESCRIPTION = """Serve one model over HTTP.

environment:
  MODEL_URI        models:/<name>/<version>, fetched from MLFLOW_TRACKING_URI
  MODEL_PATH       a folder with an MLmodel file, instead of MODEL_URI
  MODEL_DIGEST     sha256:<hex> that the model's files must have; else the server refuses to start
  MODEL_REVISION   label of every series and value of X-Model-Revision
  LOG_LEVEL        DEBUG, INFO (default), WARNING or ERROR
  PORT             8080
  MODEL_ALLOW_PICKLE   1 to load pickled models, which can run any code
  TERMINATION_LOG  where the reason is written when the model cannot be loaded
"""


def main() -> int:
    """Serve until a signal ends it; 1 where the model could not be loaded, 2 for a wrong setting."""
    parser = argparse.ArgumentParser(
        prog="python -m rollout_inference", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    import uvicorn  # noqa: PLC0415 - slow to import, and --help does without

    from rollout_inference.app import create_app  # noqa: PLC0415
    from rollout_inference.logs import configure  # noqa: PLC0415
    from rollout_inference.settings import Settings, SettingsError  # noqa: PLC0415

    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    configure(settings.log_level)
    app = create_app(settings)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
    )
    return 0 if app.state.served.model is not None else 1


if __name__ == "__main__":
    sys.exit(main())
