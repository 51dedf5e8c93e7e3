"""Where the kernel says what this process may have: the folders of its control group."""

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def folders(root: Path = CGROUPS, own: Path = OWN, controller: str = "") -> list[Path]:
    """The folder of this process' group, then those of all around it, up to the root.

    controller: of version 1, below whose folder `root` is; "" for version 2. In a container its own
    group usually is the root of what it sees.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        lines = []
    paths = [path for _, controllers, path in lines if controller in controllers.split(",")]
    group = root / (paths[0].lstrip("/") if paths else "")
    return [folder for folder in (group, *group.parents) if folder.is_relative_to(root)]
