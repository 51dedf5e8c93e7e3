"""YAML and metadata as kubectl and the API server read them: the tables hold against both, and in
tests/unit/cli against our reader.
"""

import json
import subprocess
from typing import Any

import pytest

from scripts.cluster import gobuild
from tests.support.api_client import ApiClient
from tests.support.kinds import path_of
from tests.support.yaml_cases import (
    GOOD_METADATA,
    METADATA,
    NONE,
    SCALARS,
    TEXTS,
    about,
    same,
    written,
)


def by_kubectl(text: str) -> list[dict[str, Any]]:
    """The objects that kubectl reads in a text; none where it refuses it."""
    words = ["patch", "--local", "-f", "-", "--type=merge", "-p", '{"read": true}', "-o", "json"]
    done = subprocess.run(
        [gobuild.program("kubectl"), *words],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    decoder, objects, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest and done.returncode == 0:
        one, end = decoder.raw_decode(rest)
        objects.append({key: value for key, value in one.items() if key != "read"})
        rest = rest[end:].strip()
    return objects


@pytest.mark.parametrize(("scalar", "expected"), SCALARS.items(), ids=map(repr, SCALARS))
def test_kubectl_reads_scalars_so(scalar: str, expected: Any) -> None:
    read = by_kubectl(written(scalar))
    if expected is NONE:
        assert read == []
    else:
        found = read[0]["spec"].get("v")
        # kubectl prints what is too large for a whole number with fewer digits than it has.
        assert same(float(found) if isinstance(expected, float) else found, expected)


@pytest.mark.parametrize(("text", "names"), TEXTS.values(), ids=TEXTS.keys())
def test_kubectl_reads_texts_so(text: str, names: list[str]) -> None:
    assert [one["metadata"]["name"] for one in by_kubectl(text)] == names


def sent(api: ApiClient, metadata: dict[str, Any]) -> int:
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    return api.http.post(
        path_of("ModelRollout", "default"), json=about(metadata), params=query
    ).status_code


@pytest.mark.parametrize("metadata", [one for one, _ in METADATA.values()], ids=METADATA.keys())
def test_the_api_server_refuses_metadata(api: ApiClient, metadata: dict[str, Any]) -> None:
    assert sent(api, metadata) in {400, 422}


@pytest.mark.parametrize("metadata", GOOD_METADATA.values(), ids=GOOD_METADATA.keys())
def test_the_api_server_takes_metadata(api: ApiClient, metadata: dict[str, Any]) -> None:
    assert sent(api, metadata) == 201
