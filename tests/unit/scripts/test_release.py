"""What a release is made of, as far as nothing is built: notes, charts, targets, krew's manifest,
and the steps' refusals.
"""

import hashlib
import json
import platform
import re
from pathlib import Path

import pytest
import yaml
from packaging import tags

from scripts.release import changelog, charts, files, krew, version
from scripts.release.command_line import PLATFORMS, PYTHONS, Platform
from scripts.release.rehearsal import foreign_libraries
from tests.support.job import Job

ROOT = Path(__file__).parents[3]
CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- Not yet.

## [1.1.0] - 2026-12-01

### Added

- A field, `watch`:
  in two lines.
- Another.

### Security

- A hole is closed.

## [1.0.0] - 2026-11-01

### Added

- The first.
"""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize(
    ("version", "first", "last"),
    [
        pytest.param("1.1.0", "### Added", "- A hole is closed.", id="between two others"),
        pytest.param("1.0.0", "### Added", "- The first.", id="the last one"),
        pytest.param("Unreleased", "### Added", "- Not yet.", id="not released"),
    ],
)
def test_the_notes_are_the_changelogs_section(version: str, first: str, last: str) -> None:
    lines = changelog.section(CHANGELOG, version).splitlines()
    assert (lines[0], lines[-1]) == (first, last)


def test_a_version_that_the_changelog_lacks_has_no_notes() -> None:
    assert not changelog.section(CHANGELOG, "1.1")


def test_every_entry_is_a_change_of_artifact_hubs_kinds() -> None:
    assert changelog.changes(changelog.section(CHANGELOG, "1.1.0")) == [
        {"kind": "added", "description": "A field, `watch`: in two lines."},
        {"kind": "added", "description": "Another."},
        {"kind": "security", "description": "A hole is closed."},
    ]


def test_a_long_entry_ends_with_a_sentence() -> None:
    entry = "This is short. " + "And this goes on " * 30
    (change,) = changelog.changes(f"### Fixed\n\n- {entry}\n")
    assert change["description"] == "This is short."


def test_a_heading_that_is_no_kind_of_change_is_named() -> None:
    with pytest.raises(ValueError, match="heading 'News': write one of Added"):
        changelog.changes("### News\n\n- x\n")


def test_our_changelog_can_be_told_to_artifact_hub() -> None:
    told = (ROOT / "CHANGELOG.md").read_text()
    found = changelog.changes(changelog.section(told, "Unreleased"))
    assert found
    assert all(len(change["description"]) <= changelog.LONGEST for change in found)


@pytest.mark.parametrize(
    ("version", "kind", "prerelease", "security"),
    [
        pytest.param("0.2.0", "added", "true", "false", id="before 1.0"),
        pytest.param("1.2.0", "security", "false", "true", id="a security update"),
        pytest.param("1.2.0-rc.1", "fixed", "true", "false", id="a candidate"),
    ],
)
def test_a_released_chart_names_its_images_and_changes(
    tmp_path: Path, version: str, kind: str, prerelease: str, security: str
) -> None:
    new = [{"kind": kind, "description": "Something: new."}]
    source = ROOT / "charts/rollout-operator"
    made = charts.stamped(source, tmp_path, "registry.example.com/team/mr", version, new)
    values = yaml.safe_load((made / "values.yaml").read_text())
    for key, name in (("image", "operator"), ("inferenceImage", "inference")):
        assert values[key]["registry"] == "registry.example.com"
        assert values[key]["repository"] == f"team/mr/{name}"
    about = yaml.safe_load((made / "Chart.yaml").read_text())
    told = about["annotations"]
    assert told["artifacthub.io/prerelease"] == prerelease
    assert told["artifacthub.io/containsSecurityUpdates"] == security
    assert yaml.safe_load(told["artifacthub.io/changes"]) == new
    assert [i["image"] for i in yaml.safe_load(told["artifacthub.io/images"])] == [
        f"registry.example.com/team/mr/operator:{version}",
        f"registry.example.com/team/mr/inference:{version}",
    ]
    before = yaml.safe_load((source / "Chart.yaml").read_text())
    assert told.keys() >= before["annotations"].keys()
    assert {**about, "annotations": 0} == {**before, "annotations": 0}


def test_a_chart_without_an_image_of_ours_is_refused(tmp_path: Path) -> None:
    chart = tmp_path / "in/some"
    chart.mkdir(parents=True)
    (chart / "values.yaml").write_text("image: other\n")
    with pytest.raises(ValueError, match="names no image"):
        charts.stamped(chart, tmp_path / "out", "h/p", "1.0.0", [])


@pytest.mark.parametrize("kind", PLATFORMS, ids=lambda p: f"{p.os}-{p.arch}")
@pytest.mark.parametrize("python", PYTHONS)
def test_wheels_are_chosen_for_the_machine_that_they_run_on(kind: Platform, python: str) -> None:
    target = kind.target(python)
    chosen = target["compatible_tags"]
    assert isinstance(chosen, list)
    assert "py3-none-any" in chosen
    own = f"cp3{python.split('.')[1]}"
    assert any(tag.startswith(f"{own}-{own}-") for tag in chosen)
    here = {kind.machine, "any", "universal2", "universal", "intel", "fat64", "fat32", "fat3"}
    assert all(tag.endswith(tuple(here)) for tag in chosen)
    marks = target["marker_environment"]
    assert isinstance(marks, dict)
    assert (marks["python_version"], marks["sys_platform"]) == (python, kind.os)


def test_a_target_of_this_kind_asks_for_nothing_that_this_machine_does_not_take() -> None:
    kinds = {p.machine: p for p in PLATFORMS if p.os == "linux"}
    here = kinds[platform.machine()].target(".".join(platform.python_version_tuple()[:2]))
    chosen = here["compatible_tags"]
    assert isinstance(chosen, list)
    assert set(chosen) <= {str(tag) for tag in tags.sys_tags()}


def test_krews_manifest_names_each_archive_by_its_sum(tmp_path: Path) -> None:
    archives = {}
    for kind in PLATFORMS:
        archive = tmp_path / f"kubectl-modelrollout-{kind.os}-{kind.arch}.tar.gz"
        archive.write_bytes(archive.name.encode())
        archives[kind] = archive
    plugin = yaml.safe_load(
        krew.text(krew.manifest("1.2.0", "https://e.com/p", "https://e.com/p/dl", archives))
    )
    assert (plugin["metadata"]["name"], plugin["spec"]["version"]) == ("modelrollout", "v1.2.0")
    assert len(plugin["spec"]["shortDescription"]) <= 50
    offered = plugin["spec"]["platforms"]
    assert [(p["uri"], p["sha256"]) for p in offered] == [
        (f"https://e.com/p/dl/{a.name}", hashlib.sha256(a.name.encode()).hexdigest())
        for a in archives.values()
    ]
    assert {tuple(p["selector"]["matchLabels"].values()) for p in offered} == {
        (p.os, p.arch) for p in PLATFORMS
    }


def test_the_sums_are_of_all_files_but_their_own(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    for _ in range(2):
        told = files.sums(tmp_path).read_text()
        assert told == "".join(
            f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a", "b")
        )


def test_a_library_for_another_machine_is_found(tmp_path: Path) -> None:
    for name, machine in (("a.so", 62), ("b/c.cpython-311.so.1", 183)):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little"))
    (tmp_path / "text.so").write_text("GROUP (libc.so)")
    assert foreign_libraries(tmp_path, "amd64") == ["b/c.cpython-311.so.1"]
    assert foreign_libraries(tmp_path, "arm64") == ["a.so"]


WHERE = {"REGISTRY": "registry.example.com/Team/mr", "HOMEPAGE": "https://e.com/p"}


@pytest.mark.parametrize(
    ("step", "words", "env", "code", "sentence"),
    [
        pytest.param("release.sh", ["v1.0.0"], {}, 2, "REGISTRY is not set", id="no registry"),
        pytest.param(
            "release.sh",
            ["v1.0.0"],
            {"REGISTRY": "h/p"},
            2,
            "HOMEPAGE is not set",
            id="no homepage",
        ),
        pytest.param(
            "release.sh",
            ["v9.9.9"],
            WHERE,
            1,
            "Another version than v9.9.9 stands in pyproject.toml, uv.lock",
            id="another version",
        ),
        pytest.param("release_image.sh", ["mlflow", "v1.0.0"], WHERE, 2, "is no image", id="image"),
        pytest.param(
            "release_image.sh", ["operator", "1.0.0"], WHERE, 2, "is no version", id="image's tag"
        ),
        pytest.param(
            "release_image.sh",
            ["operator", "v1.0.0"],
            {},
            2,
            "REGISTRY is not set",
            id="image's registry",
        ),
        pytest.param(
            "release_publish.sh", ["v1"], WHERE, 2, "is no version", id="published version"
        ),
        pytest.param(
            "release_publish.sh", ["v1.0.0"], {}, 2, "REGISTRY is not set", id="publish to nowhere"
        ),
        pytest.param(
            "release_publish.sh", ["v1.0.0"], WHERE, 2, "dist/ has no release", id="nothing built"
        ),
        pytest.param("registry_login.sh", [], {}, 2, "REGISTRY is not set", id="log in nowhere"),
        pytest.param(
            "registry_login.sh", [], WHERE, 2, "REGISTRY_PASSWORD is empty", id="no password"
        ),
    ],
)
def test_a_step_of_the_release_says_what_it_lacks(
    job: Job, step: str, words: list[str], env: dict[str, str], code: int, sentence: str
) -> None:
    _checkout(job)
    done = job.run(step, *words, **env)
    assert (done.returncode, sentence in done.stderr) == (code, True), done.stderr
    assert "::error::" in done.stdout


RECORDER = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >>"$TOLD"
case "$(basename "$0") $1" in
"docker login") printf 'password %s\\n' "$(cat)" >>"$TOLD" ;;
"docker inspect") echo other@sha256:0; echo registry.example.com/team/mr/operator@sha256:abc ;;
"docker run") echo '{"components": []}' ;;
esac
"""


def _checkout(job: Job, called: str = "") -> None:
    """What the steps read, of another version where one is given."""
    read = ("CHANGELOG.md", "Dockerfile.operator", "scripts/release/version.py")
    for name in (*read, *(file for file, _ in version.PLACES)):
        (job.root / name).parent.mkdir(parents=True, exist_ok=True)
        (job.root / name).write_bytes((ROOT / name).read_bytes())
    if called:
        version.write(job.root, called)


def _recorded(job: Job, step: str, *words: str, **env: str) -> list[str]:
    folder = job.folder / "bin"
    folder.mkdir(exist_ok=True)
    for name in ("docker", "uv"):
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    told = job.folder / "told"
    path = f"{folder}:{job.env['PATH']}"
    done = job.run(step, *words, PATH=path, TOLD=str(told), **{**WHERE, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return told.read_text().splitlines()


def test_an_image_is_built_pushed_and_described_by_its_digest(job: Job) -> None:
    """Docker and uv are recorded here: a rehearsal runs the same with buildah and a registry."""
    _checkout(job)
    told = _recorded(job, "release_image.sh", "operator", "v1.2.0", GITHUB_SHA="f00")
    assert [" ".join(line.split()[:2]) for line in told] == [
        "docker build",
        "docker push",
        "docker inspect",
        "docker run",
        "uv run",
    ]
    assert "--label org.opencontainers.image.revision=f00" in told[0]
    image = told[1].split()[-1]
    assert image.startswith("registry.example.com/team/mr/operator:1.2.0-")
    parts = told[4].split("scripts.release ")[1].split()
    assert parts[:4] == ["parts", "registry.example.com/team/mr", "operator", "sha256:abc"]
    assert json.loads((job.root / parts[4]).read_text()) == {"components": []}
    assert job.outputs() == {"digest": "sha256:abc"}


def test_the_password_reaches_docker_by_its_standard_input_only(job: Job) -> None:
    told = _recorded(job, "registry_login.sh", REGISTRY_USER="me", REGISTRY_PASSWORD="secret")
    assert told == [
        "docker login --username me --password-stdin registry.example.com",
        "password secret",
    ]


def test_publishing_is_of_what_was_built(job: Job) -> None:
    (job.root / "dist").mkdir()
    (job.root / "dist/SHA256SUMS").write_text("")
    (told,) = _recorded(job, "release_publish.sh", "v1.2.0")
    assert told.split("scripts.release ")[1] == (
        "publish 1.2.0 registry.example.com/team/mr https://e.com/p"
    )


def of_9_9_9(job: Job) -> None:
    """A checkout of that version, with what was built of another one."""
    _checkout(job, "9.9.9")
    (job.root / "CHANGELOG.md").write_text("## [9.9.9] - 2026-12-01\n\n### Added\n\n- x\n")
    (job.root / "dist").mkdir()
    (job.root / "dist/stale").write_text("of another release")


def test_a_tag_is_built_where_everything_agrees_with_it(job: Job) -> None:
    of_9_9_9(job)
    assert job.run("release.sh", "--check", "v9.9.9").returncode == 0
    assert (job.root / "dist/stale").exists()
    (told,) = _recorded(job, "release.sh", "v9.9.9")
    assert told.split("scripts.release ")[1] == (
        "build 9.9.9 registry.example.com/team/mr https://e.com/p"
    )
    assert not (job.root / "dist").exists()


@pytest.mark.parametrize("words", [["v9.9.9"], ["--check", "v9.9.9"]], ids=" ".join)
@pytest.mark.parametrize(("file", "pattern"), version.PLACES)
def test_a_place_that_has_another_version_is_named(
    job: Job, file: str, pattern: str, words: list[str]
) -> None:
    of_9_9_9(job)
    text = (job.root / file).read_text()
    found = re.search(pattern, text, re.MULTILINE)
    assert found
    (job.root / file).write_text(text[: found.start(1)] + "9.9.8" + text[found.end(1) :])
    done = job.run("release.sh", *words, **WHERE)
    assert done.returncode == 1
    assert f"Another version than v9.9.9 stands in {file}: run" in done.stderr
    assert (job.root / "dist/stale").exists()


@pytest.mark.parametrize("words", [["v9.9.9"], ["--check", "v9.9.9"]], ids=" ".join)
def test_a_tag_without_notes_is_refused(job: Job, words: list[str]) -> None:
    _checkout(job, "9.9.9")
    (job.root / "CHANGELOG.md").write_text("## [9.9.8]\n")
    done = job.run("release.sh", *words, **WHERE)
    assert (done.returncode, "no section [9.9.9]" in done.stderr) == (1, True)


def test_every_place_has_the_same_version_here() -> None:
    assert {found for _, found in version.standing(ROOT)} == {version.here(ROOT)}
