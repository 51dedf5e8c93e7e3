"""Messages reach a real HTTP receiver and a real mail server; what is secret stays secret."""

import asyncio
import hashlib
import hmac
import io
import json
import logging
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from jsonschema import Draft202012Validator

from rollout_operator.__main__ import main
from rollout_operator.adapters.apprise_sender import AppriseSender
from rollout_operator.adapters.cloud_event_sender import CloudEventSender
from rollout_operator.domain.message_text import Message, Rollout
from tests.support.message_receivers import http_receiver, mail_receiver, secret_folder

ID = "0123456789abcdef0123456789abcdef"
GATES = (
    {"metric": "accuracy", "value": 0.612, "threshold": 0.7, "samples": 412, "measurement": "Fail"},
    {"metric": "errorRate", "threshold": 0.01, "measurement": "NoEvidence"},
)
MESSAGE = Message(
    id=ID,
    rollout=Rollout("ml-team", "iris", "11111111-2222-3333-4444-555555555555"),
    attempt=3,
    kind="RolledBack",
    at=datetime(2026, 11, 23, 12, 12, 5, tzinfo=UTC),
    uri="models:/iris/8",
    reason="GateFailed",
    said="accuracy 0.612 is below 0.7 <!channel> @everyone\n\x1b[31m.",
    gates=GATES,
    started=datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC),
    link="https://rollouts.example.com/rollouts/ml-team/iris",
)
SCHEMA = json.loads(Path("docs/reference/message.schema.json").read_text())


async def posted(folder: str, message: Message = MESSAGE, seconds: float = 5) -> str:
    async with aiohttp.ClientSession() as session:
        return await CloudEventSender(folder, session, seconds).send(message)


async def test_a_cloud_event_is_one_by_the_sdk_and_its_data_by_our_schema(tmp_path: Path) -> None:
    async with http_receiver().served() as receiver:
        folder = secret_folder(
            tmp_path, url=receiver.url, token="t0ken", signingKey="whsec_c2VjcmV0"
        )
        assert await posted(folder) == ""
        (got,) = receiver.posted
    event = from_structured_event(HTTPMessage(headers=got.headers, body=got.body))
    assert (event.get_id(), event.get_type()) == (ID, "dev.mlops.rollouts.rolledback")
    assert event.get_subject() == "ml-team/iris"
    assert event.get_source() == (
        "/apis/rollouts.mlops.dev/v1alpha1/namespaces/ml-team/modelrollouts/iris"
    )
    assert event.get_time() == MESSAGE.at
    Draft202012Validator(SCHEMA).validate(event.get_data())
    assert got.headers["authorization"] == "Bearer t0ken"
    signed = f"{ID}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = hmac.new(b64decode("c2VjcmV0"), signed, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{b64encode(expected).decode()}"


@pytest.mark.parametrize(
    ("status", "delay", "says"),
    [
        pytest.param(503, 0, "HTTP 503", id="refused"),
        pytest.param(302, 0, "HTTP 302", id="no redirection is followed"),
        pytest.param(204, 2, "no answer within 1 s", id="too slow"),
    ],
)
async def test_what_went_wrong_by_http(
    tmp_path: Path, status: int, delay: float, says: str
) -> None:
    receiver = http_receiver()
    receiver.status, receiver.delay = status, delay
    folder = secret_folder(tmp_path, url=receiver.url)
    async with receiver.served():
        assert await posted(folder, seconds=1) == says


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({}, "url is missing or empty", id="no Secret"),
        pytest.param({"url": "ftp://u:s3cr3t-path@h"}, "no URL for CloudEvents", id="another URL"),
        pytest.param({"url": "http://u:s3cr3t-path@h:99999/"}, "not reached", id="a port too high"),
        pytest.param(
            {"url": "http://127.0.0.1:9/s3cr3t-path"}, "not reached (", id="nobody listens"
        ),
        pytest.param(
            {"url": "http://127.0.0.1:9/", "signingKey": "whsec_s3cr3t-path!"},
            "no base64",
            id="a key that is none",
        ),
    ],
)
async def test_what_cannot_be_sent_is_said_without_the_secret(
    tmp_path: Path, files: dict[str, str], says: str
) -> None:
    failure = await posted(secret_folder(tmp_path, **files))
    assert says in failure
    assert "s3cr3t" not in failure


async def test_a_mail_says_what_a_person_needs(tmp_path: Path) -> None:
    with mail_receiver().served() as receiver:
        sender = AppriseSender(secret_folder(tmp_path, url=receiver.url))
        assert await sender.send(MESSAGE) == ""
        assert receiver.ids() == {ID: 1}
        (mail,) = receiver.mails
        (text,) = receiver.texts()
    assert mail["subject"] == "iris version 8: rolled back (ml-team/iris)"
    for part in (
        "accuracy: 0.612 against 0.7, 412 samples: Fail",
        "errorRate: no value against 0.01: NoEvidence",
        "Attempt 3 of ml-team/iris, after 12 min 5 s.",
        "kubectl modelrollout retry iris -n ml-team",
        "https://rollouts.example.com/rollouts/ml-team/iris",
    ):
        assert part in text
    assert "\x1b" not in text
    assert "!channel> everyone" in text, "and nobody is called by a pod's words"


def test_what_is_taken_out_leaves_no_other_call_behind() -> None:
    text = replace(MESSAGE, said="<<!channel> @@everyone @<@here now").text
    assert not any(call in text for call in ("<!", "@everyone", "@here")), text


async def test_another_url_counts_from_the_next_message_on(tmp_path: Path) -> None:
    with mail_receiver().served() as first, mail_receiver().served() as second:
        sender = AppriseSender(secret_folder(tmp_path, url=first.url))
        assert await sender.send(MESSAGE) == ""
        secret_folder(tmp_path, url=second.url)
        assert await sender.send(MESSAGE) == ""
        assert (len(first.mails), len(second.mails)) == (1, 1)


async def test_what_arrived_too_late_is_not_sent_again(tmp_path: Path) -> None:
    other = replace(MESSAGE, id="f" * 32)
    receiver = http_receiver()
    receiver.delay = 1.5
    async with receiver.served():
        url = receiver.url.replace("http://", "json://")
        sender = AppriseSender(secret_folder(tmp_path, url=url), timeout=0.5)
        assert await sender.send(MESSAGE) == "no answer within 0 s"
        assert await sender.send(other) == "the try before has not ended yet"
        receiver.delay = 0.0
        while failure := await sender.send(other):
            assert failure in {"the try before has not ended yet", "no answer within 0 s"}
            await asyncio.sleep(0.1)
        assert await sender.send(MESSAGE) == ""
        assert len(receiver.posted) == 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("s3cr3t-path", "no URL that Apprise knows", id="no URL"),
        pytest.param("mailto://127.0.0.1:9?from=a@b.com&to=s3cr3t@b.com", "not", id="down"),
        pytest.param("json://s3cr3t:path@127.0.0.1:9/", "not", id="a webhook that is down"),
    ],
)
async def test_what_apprise_says_is_kept_from_the_log(tmp_path: Path, url: str, says: str) -> None:
    logged, root = io.StringIO(), logging.getLogger()
    # Not caplog, which listens at loggers that pass nothing on, too.
    handler, level = logging.StreamHandler(logged), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        failure = await AppriseSender(secret_folder(tmp_path, url=url)).send(MESSAGE)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert says in failure
    assert "s3cr3t" not in failure + logged.getvalue()


async def test_a_status_of_a_service_is_told(tmp_path: Path) -> None:
    receiver = http_receiver()
    receiver.status = 403
    async with receiver.served():
        url = receiver.url.replace("http://", "json://")
        failure = await AppriseSender(secret_folder(tmp_path, url=url)).send(MESSAGE)
    assert failure == "HTTP 403"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param([], 1, "good: delivered\nbad: HTTP 500\n", id="all"),
        pytest.param(["good"], 0, "good: delivered\n", id="one that takes it"),
        pytest.param(["other"], 2, "MESSAGES has good, bad", id="one that is not there"),
    ],
)
async def test_the_command_tries_destinations(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    good, bad = http_receiver(), http_receiver()
    bad.status = 500
    folders: list[dict[str, Any]] = [
        {"name": n, "folder": secret_folder(tmp_path / n, url=r.url), "format": "CloudEvents"}
        for n, r in (("good", good), ("bad", bad))
    ]
    async with good.served(), bad.served():
        result = await asyncio.to_thread(
            CliRunner().invoke,
            main,
            ["test-messages", *arguments],
            env={"MESSAGES": json.dumps(folders)},
        )
    assert (result.exit_code, says in result.output) == (code, True), result.output
