"""Command line of the model server."""

import argparse
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

DESCRIPTION = """Serve one model over HTTP.

environment:
  MODEL_URI        models:/<name>/<version>, fetched from MLFLOW_TRACKING_URI
  MODEL_PATH       a folder with an MLmodel file, instead of MODEL_URI
  MODEL_FOLDER     where the files of MODEL_URI are already; else they are fetched
  MODEL_DIGEST     sha256:<hex> that the model's files must have; else the server refuses to start
  MODEL_REVISION   label of every series and value of X-Model-Revision
  LOG_LEVEL        DEBUG (every request), INFO (default), WARNING or ERROR
  PORT             8080
  FEEDBACK_KEY     secret that prediction ids are signed with, the same in all pods;
                   made up where it is not set
  FEEDBACK_SECONDS     604800; how long after its prediction a label is taken
  FEEDBACK_STORE   where predictions and labels are remembered: sqlite:/FOLDER, or
                   postgresql://HOST/DATABASE with libpq's variables (PGUSER, PGPASSWORD …)
  FEEDBACK_SCOPE   whose they are: the same in all pods of a rollout; else the model's name
  FEEDBACK_STORE_ENTRIES   1000000; predictions that are remembered, the eldest go first
  FEEDBACK_STORE_BYTES     536870912; bytes of them
  ACCURACY_FROM    100; labels from which on ml_model_accuracy is live
  ACCURACY_WINDOW  1000; newest labels that it rests on
  MODEL_VALUE_MAX  greatest value that feedback may give a prediction, from 0 on; no
                   values are taken where it is not set
  LATENCY_BUCKETS  bounds in seconds, 0.25,1.5, that ml_request_latency_seconds has
                   beside the usual ones
  MODEL_ALLOW_PICKLE   1 to load pickled models, which can run any code
  MODEL_ALLOW_CODE 1 to serve models that are code (pyfunc, pickles) by a process
                   of their own
  MODEL_PYTHON     the interpreter of that process; else the server's own
  MODEL_TRUSTED_TYPES  full names of types and functions, separated by commas, that
                   skops files may hold beside our own list
  MODEL_COMPARE_PERCENT  of live requests that are compared with scikit-learn, 1 to 100;
                   none where it is not set
  MODEL_COMPARE_SECONDS  300; time between two comparisons
  MODEL_SHADOW_TOLERANCE  0.01; what numbers may differ by in answers to copies that
                   count as alike: predictions by this share, probabilities by this much
  MODEL_SHADOW_URL where copies go outside of a cluster, http://127.0.0.1:8081
  MODEL_MAX_BYTES  2147483648; largest model, packed and unpacked
  MAX_BODY_BYTES   8388608; largest body of a request
  MAX_ROWS         100000; most rows of a request
  HEADER_SECONDS   10; time that a client has to send a request's headers
  BODY_SECONDS     30; time that a client has to send its body
  LOAD_SECONDS     600; time that loading may take
  TERMINATION_LOG  where the reason is written when it cannot start, or the model not be loaded
  OTEL_EXPORTER_OTLP_ENDPOINT   where traces are sent, with OpenTelemetry's other variables;
                   no traces without it
"""


def main() -> int:
    """Serve until a signal ends it; 1 where the model could not be loaded, 65 where its files are
    why, 2 for a wrong setting.
    """
    parser = argparse.ArgumentParser(
        prog="python -m rollout_inference",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    # Slow to import, and --help does without.
    import uvicorn  # noqa: PLC0415

    from rollout_inference.app import create_app  # noqa: PLC0415
    from rollout_inference.logs import configure  # noqa: PLC0415
    from rollout_inference.server.uvicorn_config import SWITCH, configuration  # noqa: PLC0415
    from rollout_inference.settings import Settings, SettingsError  # noqa: PLC0415
    from rollout_model.errors import CANNOT_SERVE  # noqa: PLC0415

    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        # Of a setting that is a Secret's, whoever rolls a version out hears from here alone.
        with suppress(OSError):
            Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log")).write_text(str(error))
        return 2
    configure(settings.log_level)
    sys.setswitchinterval(SWITCH)
    app = create_app(settings)
    server = uvicorn.Server(configuration(app, settings))
    app.state.stop = partial(setattr, server, "should_exit", True)
    server.run()
    if app.state.model is not None:
        return 0
    return CANNOT_SERVE if app.state.cannot_serve else 1


if __name__ == "__main__":
    sys.exit(main())
