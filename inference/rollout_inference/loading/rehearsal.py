"""What a pod will do with a registered version, tried at once: `python -m
rollout_inference.loading.rehearsal URI DIGEST`.

It fetches the version through the registry, verifies its digest and makes the model ready, in the
same modules and processes, and prints one JSON object: `refused`, the pod's own sentence, "" where
it would serve; `peak`, bytes of memory that the pod takes at most until then, 0 where the system
does not say.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from rollout_inference.loading.loader import load
from rollout_inference.settings import Settings
from rollout_model.errors import LoadFailed

STATUS = Path("/proc/self/status")
NO_LIMIT = Path(os.devnull)
"""The memory limit of whoever trains is not the pod's."""
BESIDE = 24 * 1024 * 1024
"""Bytes that a pod holds beside its model, for HTTP and metrics, and that whoever trains need not
have installed.
"""


def rehearsed(uri: str, digest: str) -> tuple[str, int]:
    """`refused` and `peak`."""
    before = _status("VmRSS")
    try:
        asyncio.run(load(Settings(model_uri=uri, model_digest=digest, cgroups=NO_LIMIT)))
    except LoadFailed as failure:
        return str(failure), 0
    return "", BESIDE + max(_status("VmHWM"), before + _children()) if before else 0


def _status(field: str) -> int:
    """Bytes, as Linux tells them of this process; 0 elsewhere."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def _children() -> int:
    """Bytes of the largest process that this one started and that has ended: the one that fetches,
    or converts.
    """
    # Windows has none.
    import resource  # noqa: PLC0415

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def main() -> None:
    """One answer. What libraries print goes to standard error."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    refused, peak = rehearsed(sys.argv[1], sys.argv[2])
    with answer:
        json.dump({"refused": refused, "peak": peak}, answer)


if __name__ == "__main__":
    main()
