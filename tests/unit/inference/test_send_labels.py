"""Labels of files and queries in batches: what is read of them, and that a Job which dies goes on
where it stopped.
"""

import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from rollout_inference.loading.loader import LoadedModel
from rollout_inference.send_labels import main, post
from rollout_inference.settings import Settings
from rollout_labels.reading import (
    KINDS,
    TYPES,
    Label,
    Unreadable,
    from_csv,
    from_json_lines,
    from_rows,
    opened,
)
from rollout_labels.sending import MANY as MANY_ALIKE
from rollout_labels.sending import NoAnswer, NoneTaken, Sender, Unanswered, run
from scripts.cluster.apiserver import free_port
from tests.unit.inference.serving import serving

SETOSA = [5.1, 3.5, 1.4, 0.2]
MANY = 60

CSV: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "by request": (
        "request_id,label\norder-1,setosa\norder-2,virginica\n",
        "text",
        [
            {"request_id": "order-1", "label": "setosa"},
            {"request_id": "order-2", "label": "virginica"},
        ],
    ),
    "with rows, versions, and columns of others": (
        "when,request_id,row,label,version\n2026,order-1,2,setosa,7\n2026,order-1,,setosa,\n",
        "text",
        [
            {"request_id": "order-1", "row": 2, "label": "setosa", "version": 7},
            {"request_id": "order-1", "label": "setosa"},
        ],
    ),
    "by our ids": ("id,label\nYwAQ,setosa\n", "text", [{"id": "YwAQ", "label": "setosa"}]),
    "whole numbers and others": (
        "request_id,label\na,3\nb,-4\nc,2.5\n",
        "number",
        [
            {"request_id": "a", "label": 3},
            {"request_id": "b", "label": -4},
            {"request_id": "c", "label": 2.5},
        ],
    ),
    "truth values": (
        "request_id,label\na,true\nb,0\n",
        "truth",
        [{"request_id": "a", "label": True}, {"request_id": "b", "label": False}],
    ),
    "values": ("request_id,value\na,12.50\n", "text", [{"request_id": "a", "value": 12.5}]),
    "quoted, with a line break": (
        'request_id,label\n"a,1","b\nc"\n',
        "text",
        [{"request_id": "a,1", "label": "b\nc"}],
    ),
    "nothing but its header": ("request_id,label\n", "text", []),
    "lines of nothing, and cells of nothing beyond the header": (
        "\n\nrequest_id,label\n\na,b,,\n",
        "text",
        [{"request_id": "a", "label": "b"}],
    ),
}


@pytest.mark.parametrize(("text", "kind", "labels"), CSV.values(), ids=CSV.keys())
def test_labels_of_csv(text: str, kind: str, labels: list[dict[str, Any]]) -> None:
    assert list(from_csv(iter(text.splitlines(keepends=True)), kind)) == labels


def encoded() -> Iterator[str]:
    yield from io.TextIOWrapper(io.BytesIO("request_id,label\na,ü\n".encode("latin-1")), "utf-8")


WRONG: dict[str, tuple[Callable[[], Iterator[Any]], str]] = {
    "no header": (lambda: from_csv(iter(["a,b\n"]), "text"), "must be id or request_id"),
    "an empty file": (lambda: from_csv(iter([]), "text"), "the columns are none"),
    "no number": (
        lambda: from_csv(iter(["request_id,label\n", "a,1\n", "b,x\n"]), "number"),
        "line 3",
    ),
    "no truth value": (
        lambda: from_csv(iter(["request_id,label\n", "a,perhaps\n"]), "truth"),
        "line 2",
    ),
    "no whole version": (
        lambda: from_csv(iter(["request_id,label,version\n", "a,b,1.5\n"]), "text"),
        "line 2",
    ),
    "a quote that does not end": (
        lambda: from_csv(iter(["request_id,label\n", '"a,b\n']), "text"),
        "line",
    ),
    "text of another encoding": (
        lambda: from_csv(encoded(), "text"),
        "a line after line 0 is no text in UTF-8: save the file as such",
    ),
    "cells beyond the header": (
        lambda: from_csv(iter(["request_id,label\n", "a,very good, indeed\n"]), "text"),
        "line 2 has more cells than the header's 2: put a cell with a comma in quotes",
    ),
    "a column twice": (
        lambda: from_csv(iter(["request_id,label,label\n", "a,b,c\n"]), "text"),
        "the column label stands twice",
    ),
    "semicolons": (
        lambda: from_csv(iter(["request_id;label\n", "a;b\n"]), "text"),
        "separate columns by commas",
    ),
    "capitals": (
        lambda: from_csv(iter(["Request_ID,Label\n", "a,b\n"]), "text"),
        "write them in small letters",
    ),
    "a label that JSON has no word for": (
        lambda: from_csv(iter(["request_id,label\n", "a,nan\n"]), "number"),
        "line 2 cannot be sent: label is nan; write a number",
    ),
    "the same of JSON lines": (
        lambda: from_json_lines(iter(['{"request_id": "a", "label": NaN}'])),
        "line 1 cannot be sent",
    ),
    "a date of a query": (
        lambda: from_rows(["id", "label"], iter([("a", date(2026, 1, 1))])),
        "row 1 cannot be sent",
    ),
    "no JSON": (
        lambda: from_json_lines(iter(["{}\n", "{\n"])),
        "line 2 is no JSON: .*on a line of its own",
    ),
    "no object": (
        lambda: from_json_lines(iter(["[]\n"])),
        "line 1 is no object: write .*on a line of its own",
    ),
    "a query without labels": (lambda: from_rows(["id"], iter([])), "label or value"),
}


@pytest.mark.parametrize(("read", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_read_is_told_with_its_place(
    read: Callable[[], Iterator[Any]], why: str
) -> None:
    with pytest.raises(Unreadable, match=why):
        list(read())


def test_labels_of_a_query_are_sent_as_the_database_has_them() -> None:
    rows = [("a", Decimal(3)), ("b", Decimal("2.5")), ("c", ["x", "y"]), ("d", True), ("e", None)]
    found = [one.get("label") for one in from_rows(["request_id", "label"], iter(rows))]
    assert found == [3, 2.5, ["x", "y"], True, None]
    assert json.loads(json.dumps(found)) == found


def test_a_database_that_is_away_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LABELS_DATABASE", f"postgresql://a@127.0.0.1:{free_port()}/labels")
    assert main(["http://127.0.0.1:9/feedback/", "--query", "SELECT 1"]) == 3
    assert "the database does not answer" in capsys.readouterr().err


def test_json_lines_are_sent_as_they_are() -> None:
    lines = ['{"request_id": "a", "label": 3, "note": "x"}\n', "\n", '{"id": "b", "value": null}\n']
    assert list(from_json_lines(iter(lines))) == [{"request_id": "a", "label": 3}, {"id": "b"}]


@pytest.fixture
def address(settings: Settings, loaded: LoadedModel, tmp_path: Path) -> Iterator[str]:
    """A real server with a store that knows MANY requests."""
    mine = settings.model_copy(update={"feedback_store": f"sqlite:{tmp_path}/store"})
    with serving(mine, loaded) as (host, port):
        url = f"http://{host}:{port}"
        for n in range(MANY):
            body = {"request_id": f"order-{n}", "instances": [SETOSA]}
            assert httpx.post(f"{url}/predict/", json=body).status_code == 200
        yield url


def counted(address: str) -> dict[str, float]:
    return {
        outcome: float(line.rpartition(" ")[2])
        for line in httpx.get(f"{address}/metrics/").text.splitlines()
        for outcome in ("correct", "wrong")
        if line.startswith("ml_feedback_stored_total") and f'outcome="{outcome}"' in line
    }


def written(path: Path, rights: int) -> Path:
    rows = [f"order-{n},{'setosa' if n < rights else 'virginica'}" for n in range(MANY)]
    path.write_text("\ufeffrequest_id,label\n" + "\n".join(rows) + "\n")
    return path


def test_a_file_is_sent_in_batches_and_once_more_changes_nothing(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "labels.csv", 40)
    command = [f"{address}/feedback/", str(file), "--batch", "7"]
    assert main(command) == 0
    assert f"done: {MANY} counted" in capsys.readouterr().out
    assert main(command) == 0
    assert f"done: {MANY} duplicate" in capsys.readouterr().out
    assert counted(address) == {"correct": 40, "wrong": MANY - 40}


def test_what_is_refused_is_written_down_and_the_rest_counts(address: str, tmp_path: Path) -> None:
    file, refused = tmp_path / "labels.jsonl", tmp_path / "refused.jsonl"
    sent = [
        {"request_id": "order-1", "label": "setosa"},
        {"request_id": "nobody", "label": "setosa"},
        {"request_id": "order-2"},
        {"request_id": "order-3", "label": "virginica"},
    ]
    file.write_text("\n".join(map(json.dumps, sent)))
    assert main([f"{address}/feedback/", str(file), "--refused", str(refused)]) == 1
    told = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [(one["at"], one["request_id"], one["status"]) for one in told] == [
        ("line 2", "nobody", 404),
        ("line 3", "order-2", 422),
    ]
    assert counted(address) == {"correct": 1, "wrong": 1}


def test_a_query_is_a_source_too(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(tmp_path / "orders.db") as orders:
        orders.execute("CREATE TABLE orders (number INTEGER, species TEXT)")
        orders.executemany("INSERT INTO orders VALUES (?, 'setosa')", [(n,) for n in range(MANY)])
    query = "SELECT 'order-' || number AS request_id, species AS label FROM orders ORDER BY number"
    command = [f"{address}/feedback/", "--query", query]
    monkeypatch.setenv("LABELS_DATABASE", f"sqlite:{tmp_path}/orders.db")
    assert main(command) == 0
    assert counted(address) == {"correct": MANY, "wrong": 0}
    monkeypatch.setenv("LABELS_DATABASE", "")
    assert main(command) == 2


def ignored(*_: Any) -> None:
    """What is told here is looked at elsewhere."""


class Dies(Exception):
    """The process is killed here."""


def test_who_dies_goes_on_where_it_stopped(address: str, tmp_path: Path) -> None:
    """Killed after a batch was taken and before that was written down: it is sent again."""
    file, progress = written(tmp_path / "labels.csv", 30), tmp_path / "progress"
    left = 3

    def dying(labels: Sequence[Label]) -> tuple[int, bytes]:
        nonlocal left
        reply = post(f"{address}/feedback/", labels)
        left -= 1
        if left == 0:
            raise Dies
        return reply

    sender = Sender(address, dying, 5, ignored, ignored)
    with ExitStack() as until, pytest.raises(Dies):
        run(opened(str(file), "text", until), sender, 10, progress, ignored)
    assert progress.read_text().split()[0] == "20"
    assert sum(counted(address).values()) == 30, "what nobody wrote down was taken"
    assert main([f"{address}/feedback/", str(file), "--progress", str(progress)]) == 0
    assert counted(address) == {"correct": 30, "wrong": MANY - 30}
    assert progress.read_text().split()[0] == str(MANY)


def test_a_server_that_is_away_is_waited_for() -> None:
    """Whole answers that fail, and labels that the store could not take."""
    answers: list[Any] = [
        NoAnswer("refused"),
        (502, {}),
        (200, {"results": [{"taken": "counted"}, {"status": 503, "error": "away"}]}),
        (200, {"results": [{"taken": "counted"}]}),
    ]
    asked = list[int]()
    pauses = list[float]()

    def answer(labels: Sequence[Label]) -> tuple[int, bytes]:
        asked.append(len(labels))
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found[0], json.dumps(found[1]).encode()

    notes = list[str]()
    sender = Sender("http://x/feedback/", answer, 60, ignored, notes.append, pauses.append)
    sender.send([Label(request_id="a", label="b"), Label(request_id="c", label="d")])
    assert (asked, dict(sender.counts)) == ([2, 2, 2, 1], {"counted": 2})
    assert pauses == [0.5, 1.0, 2.0]
    assert notes == ["no answer: refused", "HTTP 502: {}"]
    answers.extend([(503, {"error": "away"})] * 50)
    with pytest.raises(Unanswered, match="look at its pods"):
        sender.send([Label(request_id="a", label="b")])
    assert len(answers) > 30, "it gave up in time"


MISUSED = {
    "neither a file nor a query": [],
    "both": ["labels.csv", "--query", "SELECT 1"],
    "no label at once": ["labels.csv", "--batch", "0"],
    "more than a request may have": ["labels.csv", "--batch", "10001"],
}


@pytest.mark.parametrize("arguments", MISUSED.values(), ids=MISUSED.keys())
def test_what_cannot_be_meant_is_told(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["http://x/feedback/", *arguments])
    assert ended.value.code == 2


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://x/feedback/", "/nowhere/labels.csv"]) == 2
    assert "cannot be read" in capsys.readouterr().err


ADVICE: dict[str, tuple[str, str, str]] = {
    "a number": ("request_id,label\na,x\n", "number", "label is 'x'; write a number, such as 3"),
    "a truth value": ("request_id,label\na,perhaps\n", "truth", "write true or false"),
    "a value": ("request_id,value\na,12 EUR\n", "text", "value is '12 EUR'; write a number"),
    "a row": ("request_id,label,row\na,b,first\n", "text", "row is 'first'; write a whole number"),
}


@pytest.mark.parametrize(("text", "kind", "advice"), ADVICE.values(), ids=ADVICE.keys())
def test_what_is_to_be_written_in_the_place_of_what_cannot_be_read(
    text: str, kind: str, advice: str
) -> None:
    with pytest.raises(Unreadable) as told:
        list(from_csv(iter(text.splitlines(keepends=True)), kind))
    assert str(told.value).startswith("line 2 cannot be read")
    assert advice in str(told.value)


LACKING: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"request_id": "a", "label": 0}, ""),
    "nothing, by our id": ({"id": "a", "value": 0.0}, ""),
    "an id": ({"label": "b"}, "it does not say which prediction it is of: write id or request_id"),
    "what was right": ({"id": "a"}, "it says nothing of the prediction: write label or value"),
}


@pytest.mark.parametrize(("said", "why"), LACKING.values(), ids=LACKING.keys())
def test_what_a_label_lacks(said: dict[str, Any], why: str) -> None:
    told = Label.at("line 7", said).lacks
    assert told.startswith(why)
    assert bool(told) is bool(why)


PIPED = {
    "CSV": "\ufeffrequest_id,label\na,b\nc,d\n",
    "JSON lines": '{"request_id": "a", "label": "b"}\n\n{"request_id": "c", "label": "d"}\n',
}


@pytest.mark.parametrize("text", PIPED.values(), ids=PIPED.keys())
def test_standard_input_is_read_as_what_it_is(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with ExitStack() as until:
        found = list(opened("-", "text", until))
    assert [(one["request_id"], one["label"]) for one in found] == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize("name", ["labels.json", "labels.txt", "labels.JSONL", "labels"])
def test_json_lines_are_known_by_what_they_are(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(PIPED["JSON lines"])
    with ExitStack() as until:
        found = list(opened(str(tmp_path / name), "text", until))
    assert [one["request_id"] for one in found] == ["a", "c"]


ENCODED = {
    "Latin 1": ("request_id,label\na,b\nc,\xfc\n".encode("latin-1"), "line 3 is no text"),
    "UTF-16": ("request_id,label\na,b\n".encode("utf-16"), "line 1 is no text in UTF-8"),
    "packed": (b"\x1f\x8b\x08\x00", "what is packed is to be unpacked"),
    "JSON lines in Latin 1": ('{"id": "\xfc", "label": 1}\n'.encode("latin-1"), "line 1 is no"),
}


@pytest.mark.parametrize(("raw", "why"), ENCODED.values(), ids=ENCODED.keys())
@pytest.mark.parametrize("locale", ["ascii", "utf-8", "latin-1"])
def test_what_is_no_utf8_is_told_whatever_the_locale_says(
    raw: bytes, why: str, locale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_bytes(raw)
    piped = io.TextIOWrapper(io.BytesIO(raw), locale, errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", piped)
    for source in (str(tmp_path / "labels.csv"), "-"):
        with ExitStack() as until, pytest.raises(Unreadable, match=why):
            list(opened(source, "text", until))


@dataclass
class Strict:
    """A server that takes no request with one of these, or with more bytes, as ours does."""

    bad: frozenset[str]
    status: int
    most: int = 10**9
    sent: list[int] = field(default_factory=list)

    def __call__(self, labels: Sequence[Label]) -> tuple[int, bytes]:
        self.sent.append(len(labels))
        if len(json.dumps(labels)) > self.most:
            return 413, b'{"error": "too long"}'
        if any(one["request_id"] in self.bad for one in labels):
            return self.status, b'{"error": "it is none"}'
        return 200, json.dumps({"results": [{"taken": "counted"}] * len(labels)}).encode()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_label_that_spoils_its_request_is_refused_alone(status: int) -> None:
    """None of the others may be lost, and it takes no request for each of them."""
    server, refused = Strict(frozenset({"order-7", "order-400"}), status), list[str]()

    def refuse(label: Label, result: Mapping[str, Any]) -> None:
        refused.append(f"{label.place} {result['status']}")

    sender = Sender("x", server, 0, refuse, ignored)
    sender.send([Label.at(f"line {n}", {"request_id": f"order-{n}", "label": 1}) for n in MUCH])
    assert refused == [f"line 7 {status}", f"line 400 {status}"]
    assert sender.counts == {"counted": len(MUCH) - 2, "refused": 2}
    assert len(server.sent) < 40


MUCH = range(500)


def test_what_is_too_long_for_one_request_is_sent_in_several() -> None:
    server = Strict(frozenset(), 422, most=20_000)
    sender = Sender("x", server, 0, ignored, ignored)
    sender.send([Label(request_id="x" * 200, label=1)] * len(MUCH))
    assert sender.counts == {"counted": len(MUCH)}


@pytest.mark.parametrize("count", [MANY_ALIKE, MANY_ALIKE - 1])
def test_where_all_are_refused_for_one_reason_the_others_are_not_tried(count: int) -> None:
    """Without a store, labels by request_id: each of a million would be asked for by itself."""
    bad = Strict(frozenset({"a"}), 422)
    sender = Sender("x", bad, 0, ignored, ignored)
    labels = iter([Label(request_id="a", label=1)] * 1000)
    if count < MANY_ALIKE:
        run(labels, sender, count, None, ignored)
        assert sender.counts == {"refused": 1000}
        return
    with pytest.raises(NoneTaken, match=f"none of the first {count} labels was taken: it is none"):
        run(labels, sender, count, None, ignored)
    assert sender.counts == {"refused": count}


@pytest.mark.parametrize("status", [404, 409, 410])
def test_where_all_are_refused_by_themselves_the_others_are_tried(status: int) -> None:
    """They are too late, or of another rollout; those after them may not be."""
    answers = [{"status": status, "error": "late"}] * 500, [{"taken": "counted"}] * 500
    left = [json.dumps({"results": one}).encode() for one in answers]
    sender = Sender("x", lambda _: (200, left.pop(0)), 0, ignored, ignored)
    run(iter([Label(request_id="a", label=1)] * 1000), sender, 500, None, ignored)
    assert sender.counts == {"counted": 500, "refused": 500}


def test_what_lacks_something_spoils_no_request() -> None:
    server, refused = Strict(frozenset(), 422), list[Mapping[str, Any]]()
    sender = Sender("x", server, 0, lambda _, result: refused.append(result), ignored)
    sender.send([Label(request_id="a", label=1), Label(request_id="b"), Label(label=2)])
    assert (server.sent, sender.counts) == ([1], {"counted": 1, "refused": 2})
    assert [one["status"] for one in refused] == [422, 422]


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("request_id,label\na,\n")
    url = "http://127.0.0.1:9/feedback/"
    for options, why in [
        (["--refused", str(tmp_path)], f"error: {tmp_path} cannot be written: Is a directory"),
        (["--refused", "/dev/full"], "error: /dev/full cannot be written: No space left"),
        (["--progress", str(tmp_path / "no" / "p")], "p cannot be kept: No such file"),
        (["--refused", str(file)], "is named for the labels and for --refused: name another file"),
    ]:
        assert main([url, str(file), *options]) == 2
        assert why in capsys.readouterr().err


def test_progress_of_before_there_were_digests_counts(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("2")
    server = Strict(frozenset(), 422)
    sender = Sender("x", server, 1, ignored, ignored)
    labels = [Label(request_id=str(n), label=1) for n in range(5)]
    assert run(iter(labels), sender, 10, tmp_path / "progress", ignored) == 2
    assert server.sent == [3]
    assert len((tmp_path / "progress").read_text().split()) == 2


def test_progress_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("half")
    sender = Sender("x", lambda _: (200, b""), 1, ignored, ignored)
    with pytest.raises(Unreadable, match="holds no number of labels"):
        run(iter([]), sender, 10, tmp_path / "progress", ignored)


def test_every_way_to_read_a_label_says_what_to_write() -> None:
    assert KINDS.keys() == TYPES.keys()
