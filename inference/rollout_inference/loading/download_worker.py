"""The process that fetches a model's files: `python -m
rollout_inference.loading.download_worker URI FOLDER MOST-BYTES`.

It prints the folder with the files; or, with exit code 1, one sentence that says why there is none.
"""

import os
import sys
from pathlib import Path

from rollout_inference.loading.sources import fetch
from rollout_model.errors import LoadFailed


def main(uri: str, folder: str, most: int) -> int:
    """Fetch, unless the registry already says that it is too much."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what MLflow prints is for the log
    with answer:
        try:
            print(fetch(uri, Path(folder), most, os.environ), file=answer)
        except LoadFailed as failure:
            print(failure, file=answer)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
