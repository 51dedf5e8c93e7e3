"""`python -m scripts.demo.seed`: see that the registry has models:/iris/1, which the README's
manifest asks for.
"""

import os
import sys

import httpx

from scripts.demo.models import RECIPES, Registry, TrainingFailed, train

NAME = "iris"


def main() -> int:
    """Train and register version 1 where the registry has no model of that name;
    else do nothing.
    """
    if not (url := os.environ.get("MLFLOW_TRACKING_URI")):
        print(
            "MLFLOW_TRACKING_URI is not set: run `make cluster`, which sees to it.", file=sys.stderr
        )
        return 1
    registry = Registry(url)
    try:
        if not registry.has(NAME, "1"):
            model = train(registry, NAME, RECIPES[1])
            print(f"Registered {model.uri}, accuracy {model.accuracy:.2f}.", file=sys.stderr)
    except (TrainingFailed, httpx.HTTPError) as failure:
        print(f"models:/{NAME}/1 could not be registered at {url}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
