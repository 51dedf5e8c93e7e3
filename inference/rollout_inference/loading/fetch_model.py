"""The step of a pod that has credentials: `python -m rollout_inference.loading.fetch_model FOLDER`.

It fetches the files of MODEL_URI into FOLDER, a volume that the server then reads, and verifies
MODEL_DIGEST where one is known. The server has no credential, no Secret and no token. What goes
wrong is one sentence in the termination message, and exit code 1; 65 where the files are what is
wrong.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from rollout_inference.loading.baked import baked
from rollout_inference.loading.model_cache import ModelCache, copy_files
from rollout_inference.settings import Settings, SettingsError
from rollout_model.artifact import verified_files
from rollout_model.digest import digest_of
from rollout_model.errors import CANNOT_SERVE, CannotServe, LoadFailed, of_the_files


def fetched(settings: Settings, folder: Path) -> str:
    """Fetch into `folder`, which may hold what a former try has left; the files' digest.

    Raises LoadFailed.
    """
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    if (inside := baked(settings)) is not None:
        copy_files(inside, folder)
        with of_the_files():
            return digest_of(verified_files(folder, settings.load_policy))
    if settings.model_cache is None:
        return _by_the_source(settings, folder)
    cache, known = ModelCache(settings.model_cache, settings.cache_bytes), settings.model_digest
    if not known:
        digest = _by_the_source(settings, folder)
        cache.keep(digest, folder)
        return digest
    with cache.alone(known):
        if read := cache.copied(known, folder):
            print(f"{known} was fetched before", flush=True)
            with of_the_files():
                return digest_of(verified_files(folder, settings.load_policy, read))
        _by_the_source(settings, folder)
        cache.keep(known, folder)
        return known


def _by_the_source(settings: Settings, folder: Path) -> str:
    """Fetch into the empty `folder`; the files' digest. Raises LoadFailed."""
    # MLflow's client takes seconds to import, and who finds the files in the cache needs none.
    from rollout_inference.loading.sources import fetch  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
        # Its own folders hold a Secret: only volumes that the configuration names are a source.
        env = {"MODEL_VOLUMES": "", **os.environ}
        found = fetch(settings.model_uri, Path(scratch), settings.max_model, env)
        with of_the_files():
            digest = digest_of(verified_files(found, settings.load_policy))
        for path in found.iterdir():
            shutil.move(path, folder)
    return digest


def main(folder: Path) -> int:
    """Fetch, or say why not."""
    log = Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log"))
    try:
        settings = Settings.from_environment(os.environ)
        print(f"fetched {settings.model_uri}: {fetched(settings, folder)}", flush=True)
    except (LoadFailed, SettingsError, OSError) as failure:
        print(failure, file=sys.stderr, flush=True)
        try:
            log.write_text(str(failure))
        except OSError:
            print(f"{log} cannot be written", file=sys.stderr)
        return CANNOT_SERVE if isinstance(failure, CannotServe) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
