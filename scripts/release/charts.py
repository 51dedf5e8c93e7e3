"""The charts as they are released: they name the published images, and say what is new."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from scripts.cluster.shell import run

_IMAGE = re.compile(r'registry: "", repository: model-rollouts/(\w+)')
ARTIFACT_HUB = "artifacthub.io"


def stamped(
    chart: Path, into: Path, registry: str, version: str, changes: Sequence[Mapping[str, str]]
) -> Path:
    """A copy of the chart whose images are those of `registry` (HOST/PATH), with Artifact Hub's
    annotations; raises ValueError where it names no image of ours.
    """
    copy = into / chart.name
    shutil.copytree(chart, copy)
    values = copy / "values.yaml"
    host, _, path = registry.partition("/")
    named: list[str] = []

    def published(found: re.Match[str]) -> str:
        named.append(found[1])
        return f"registry: {host}, repository: {'/'.join(filter(None, (path, found[1])))}"

    values.write_text(_IMAGE.sub(published, values.read_text()))
    if not named:
        raise ValueError(f"{chart / 'values.yaml'} names no image of model-rollouts/.")
    file = copy / "Chart.yaml"
    about = yaml.safe_load(file.read_text())
    platforms = ["linux/amd64", "linux/arm64"]
    images = [
        {"name": name, "image": f"{registry}/{name}:{version}", "platforms": platforms}
        for name in named
    ]
    about["annotations"] |= {
        f"{ARTIFACT_HUB}/prerelease": str("-" in version or version.startswith("0.")).lower(),
        f"{ARTIFACT_HUB}/containsSecurityUpdates": str(
            any(change["kind"] == "security" for change in changes)
        ).lower(),
        f"{ARTIFACT_HUB}/images": _text(images),
        f"{ARTIFACT_HUB}/changes": _text(list(changes)),
    }
    file.write_text(yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=1000))
    return copy


def packaged(helm: Path, chart: Path, into: Path) -> Path:
    """The chart as NAME-VERSION.tgz in `into`."""
    told = run([helm, "package", chart, "--destination", into])
    return Path(told.strip().rsplit(": ", 1)[1])


def _text(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
