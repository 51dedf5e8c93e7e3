"""A model that was put into the image when it was built: `docker build --build-arg MODEL_URI=…`."""

import logging
from pathlib import Path

from rollout_inference.settings import Settings
from rollout_model.digest import tree_digest
from rollout_model.flavors import MLMODEL

log = logging.getLogger(__name__)

FOLDER = Path("/models/baked")
"""Dockerfile.inference fetches there."""


def baked(settings: Settings, folder: Path = FOLDER) -> Path | None:
    """The folder in the image, if it has the files whose digest is asked for; None where they must
    be fetched.
    """
    if not settings.model_digest or not (folder / MLMODEL).is_file():
        return None
    try:
        found = tree_digest(folder)
    except ValueError as failure:
        log.warning("the image's own model cannot be used: %s", failure)
        return None
    if found != settings.model_digest:
        log.info("the image's own model is %s: another is fetched", found)
        return None
    return folder
