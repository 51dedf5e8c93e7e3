"""What is taken for a webhook of MLflow, and what is not."""

from typing import Any

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from rollout_bridge.webhook import (
    DELIVERY_ID,
    SIGNATURE,
    TIMESTAMP,
    AliasSet,
    Malformed,
    NotGenuine,
    Other,
    envelope,
    read,
    sign,
    verify,
)
from tests.unit.bridge.builders import NOW, SECRET, alias_set, encoded, signed

BODY = encoded(alias_set())


def check(headers: dict[str, str], body: bytes, secrets: tuple[str, ...] = (SECRET,)) -> None:
    verify(secrets, envelope(headers, NOW, 300), body)


def test_the_signature_is_the_one_that_mlflow_makes() -> None:
    assert sign(SECRET, "d-1", NOW, BODY) == _generate_hmac_signature(
        SECRET, "d-1", str(NOW), BODY.decode()
    )


@pytest.mark.parametrize(
    ("secrets", "at"),
    [
        pytest.param((SECRET,), NOW, id="now"),
        pytest.param((SECRET,), NOW - 300, id="as old as may be"),
        pytest.param((SECRET,), NOW + 300, id="as early as may be"),
        pytest.param(("another-secret-16", SECRET), NOW, id="the previous secret"),
    ],
)
def test_a_genuine_webhook(secrets: tuple[str, ...], at: int) -> None:
    check(signed(BODY, at=at), BODY, secrets)


FORGED: dict[str, tuple[dict[str, str | None], bytes, str]] = {
    "no signature": ({SIGNATURE: None}, BODY, f"{SIGNATURE} is missing: give the webhook a secret"),
    "no timestamp": ({TIMESTAMP: None}, BODY, f"{TIMESTAMP} is missing"),
    "no delivery id": ({DELIVERY_ID: None}, BODY, f"{DELIVERY_ID} is missing"),
    "another body": ({}, BODY.replace(b'"2"', b'"3"'), "does not fit"),
    "another delivery id": ({DELIVERY_ID: "d-2"}, BODY, "does not fit"),
    "another timestamp": ({TIMESTAMP: str(NOW + 1)}, BODY, "does not fit"),
    "another secret": ({SIGNATURE: sign("x" * 32, "d-1", NOW, BODY)}, BODY, "does not fit"),
    "another version of the scheme": (
        {SIGNATURE: sign(SECRET, "d-1", NOW, BODY).replace("v1,", "v2,")},
        BODY,
        "does not fit",
    ),
    "an empty signature": ({SIGNATURE: "v1,"}, BODY, "does not fit"),
    "a signature that is not ASCII": ({SIGNATURE: "v1,é"}, BODY, "does not fit"),
    "a signature that is no text, as aiohttp reads it": (
        {SIGNATURE: "v1,\udcff"},
        BODY,
        "does not fit",
    ),
    "too old": ({TIMESTAMP: str(NOW - 301)}, BODY, "301 s old, at most 300 s"),
    "too early": ({TIMESTAMP: str(NOW + 301)}, BODY, "301 s ahead"),
    "a timestamp that is none": ({TIMESTAMP: "-1"}, BODY, "no Unix time"),
    "a timestamp of another script": ({TIMESTAMP: "١٧٦٤"}, BODY, "no Unix time"),
    "a delivery id with a dot, which could move the seam": (
        {DELIVERY_ID: "d.1"},
        BODY,
        "no delivery id",
    ),
    "a delivery id without end": ({DELIVERY_ID: "d" * 65}, BODY, "no delivery id"),
}


@pytest.mark.parametrize(("changes", "body", "told"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_webhook_is_refused(
    changes: dict[str, str | None], body: bytes, told: str
) -> None:
    headers = {k: v for k, v in {**signed(BODY), **changes}.items() if v is not None}
    with pytest.raises(NotGenuine) as refusal:
        check(headers, body)
    assert told in str(refusal.value)
    assert SECRET not in str(refusal.value)
    assert sign(SECRET, "d-1", NOW, BODY) not in str(refusal.value)


def test_an_alias_that_was_set() -> None:
    event = read(BODY)
    assert isinstance(event, AliasSet)
    assert (event.workspace, event.model, event.alias, event.model_uri) == (
        "default",
        "iris",
        "production",
        "models:/iris/2",
    )
    assert event.at.isoformat() == "2025-11-24T16:00:00.250000+00:00"
    other = read(encoded(alias_set(workspace="team-a", timestamp="2025-11-24T17:00:00+01:00")))
    assert isinstance(other, AliasSet)
    assert (other.workspace, other.at.isoformat()) == ("team-a", "2025-11-24T16:00:00+00:00")


OTHERS = [
    ("model_version", "created"),
    ("model_version_alias", "deleted"),
    ("prompt_alias", "created"),
]


@pytest.mark.parametrize(("entity", "action"), OTHERS)
def test_other_events_lead_to_nothing(entity: str, action: str) -> None:
    assert read(encoded(alias_set(entity=entity, action=action))) == Other(f"{entity}.{action}")


MALFORMED: dict[str, tuple[Any, str]] = {
    "not JSON": (b"{", "not a webhook of MLflow"),
    "not UTF-8": (b'"\xff"', "not a webhook of MLflow"),
    "JSON without bottom": (b"[" * 60_000, "not a webhook of MLflow"),
    "a list": (encoded([]), "not a webhook of MLflow"),
    "no data": (
        encoded({k: v for k, v in alias_set().items() if k != "data"}),
        "not a webhook of MLflow",
    ),
    "data that is a text": (encoded(alias_set(data="iris")), "not a webhook of MLflow"),
    "no time": (encoded(alias_set(timestamp="soon")), "not a webhook of MLflow"),
    "a time without zone": (encoded(alias_set(timestamp="2025-11-24T16:00:00")), "no time zone"),
    "a version that is a number": (encoded(alias_set(version=2)), "must be texts"),
    "a version that is a path": (encoded(alias_set(version="2/../../3")), "no version number"),
    "version 0": (encoded(alias_set(version="0")), "no version number"),
    "no name": (encoded(alias_set(name="")), "must be texts"),
    "a workspace that is none": (encoded(alias_set(workspace=["a"])), "must be texts"),
}


@pytest.mark.parametrize(("body", "told"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_mlflow_does_not_send_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(Malformed) as refusal:
        read(body)
    assert told in str(refusal.value)
