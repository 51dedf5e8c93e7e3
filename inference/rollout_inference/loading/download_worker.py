"""The process that fetches a model's files by MLflow's own client: `python -m
rollout_inference.loading.download_worker URI FOLDER MOST-BYTES`.

It prints the folder with the files; or, with exit code 1, one sentence that says why there is none.
"""

import os
import sys
from pathlib import Path

# Where MLflow's telemetry reaches nobody it gives up, in a thread of its own, and takes its
# variable out of os.environ: a request that reads os.environ at that moment ends in KeyError.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.artifacts

from rollout_model.errors import first_line


def size(uri: str) -> int:
    """Bytes of all files below an artifact URI, as the registry tells them; what it does not tell
    counts as none.
    """
    found = mlflow.artifacts.list_artifacts(artifact_uri=uri)
    return sum(
        size(f"{uri}/{one.path.rsplit('/', 1)[-1]}") if one.is_dir else one.file_size or 0
        for one in found
    )


def main(uri: str, folder: str, most: int) -> int:
    """Fetch, unless the registry already says that it is too much."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what MLflow prints is for the log
    with answer:
        try:
            if (told := size(uri)) > most:
                print(
                    f"The model is too large: {told} bytes, and {most} are the most. The operator's"
                    " MODEL_MAX_BYTES sets it.",
                    file=answer,
                )
                return 1
            Path(folder).mkdir(parents=True, exist_ok=True)
            print(
                mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder), file=answer
            )
        except Exception as failure:  # artifact stores fail in as many ways as there are stores
            print(f"{uri} could not be fetched: {first_line(failure)}", file=answer)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
