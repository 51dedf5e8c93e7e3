"""`feedback`: what is said of a file, of what is refused, and of whoever answers in its place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rollout_cli.commands.feedback import SHOWN, Request, run
from rollout_cli.exit_codes import Absent, Exit, Failure, Refused, Unreachable, WrongUsage
from rollout_labels.sending import BATCH
from rollout_operator.domain.api.status import Status
from tests.unit.cli.builders import rollout

PATH = "/api/v1/namespaces/models/services/iris:http/proxy/feedback/"
Answer = tuple[int, dict[str, Any]]


@dataclass
class Cluster:
    """An API server with the rollout `iris`, and answers of what is behind its proxy."""

    answers: list[Answer | Failure] = field(default_factory=list)
    """The next ones; once there are none left, all labels are taken."""
    refused: frozenset[str] = frozenset()
    """Requests of which no label is taken."""
    sent: list[list[dict[str, Any]]] = field(default_factory=list)
    namespace: str = "models"

    def open_for_sending(self) -> "Cluster":
        return self

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        if not path.endswith("/iris"):
            raise Absent('modelrollouts "rose" not found')
        return rollout(Status()).raw

    def items(self, path: str, selector: str = "") -> list[dict[str, Any]]:
        return [rollout(Status()).raw]

    def send(self, path: str, body: Sequence[dict[str, Any]]) -> tuple[int, bytes]:
        assert path == PATH
        self.sent.append([dict(one) for one in body])
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Failure):
                raise answer
            return answer[0], json.dumps(answer[1]).encode()
        results = [
            {"status": 404, "error": "it is of no prediction that is known"}
            if one.get("request_id") in self.refused
            else {"outcome": "correct", "taken": "counted"}
            for one in body
        ]
        return 200, json.dumps({"results": results}).encode()


def asked(file: Path | str, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "name": "iris",
        "labels": "text",
        "batch": BATCH,
        "progress": None,
        "refused": None,
        "patience": "0s",
        "dry_run": False,
    }
    return Request(file=str(file), **(values | changes))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rows = "".join(f"order-{n},setosa\n" for n in range(1, 31))
    (tmp_path / "labels.csv").write_text(f"request_id,label\n{rows}")
    return tmp_path / "labels.csv"


def done(cluster: Cluster, request: Request) -> Exit:
    return run(cluster, request)  # type: ignore[arg-type]


def test_a_file_is_sent_in_batches(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster()
    assert done(cluster, asked(labels, batch=20)) is Exit.PROMOTED
    assert [len(batch) for batch in cluster.sent] == [20, 10]
    assert cluster.sent[0][0] == {"request_id": "order-1", "label": "setosa"}
    assert capsys.readouterr().out == "models/iris: 30 counted.\n"


def test_what_is_refused_is_told_by_its_line_and_kept(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster(refused=frozenset(f"order-{n}" for n in range(3, 18)))
    kept = labels.with_name("refused.jsonl")
    assert done(cluster, asked(labels, refused=kept)) is Exit.ROLLED_BACK
    out, err = capsys.readouterr()
    assert out == "models/iris: 15 counted, 15 refused.\n"
    assert "line 4: it is of no prediction that is known" in err
    assert err.count("line ") == SHOWN
    assert "More were refused, and are counted." in err
    written = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [one["at"] for one in written] == [f"line {n}" for n in range(4, 19)]
    # What was refused may be sent once more, as it was written down.
    cluster = Cluster()
    assert done(cluster, asked(kept)) is Exit.PROMOTED
    assert len(cluster.sent[0]) == 15
    assert cluster.sent[0][0] == {"request_id": "order-3", "label": "setosa"}


def test_a_dry_run_reads_all_of_it_and_sends_nothing(
    tmp_path: Path, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = Cluster()
    assert done(cluster, asked(labels, batch=20, dry_run=True)) is Exit.PROMOTED
    said = "30 labels in 2 requests would go to models/iris; 0 of them are none."
    assert capsys.readouterr().out == f"{said} Nothing was sent.\n"
    (tmp_path / "odd.jsonl").write_text('{"request_id": "a"}\n{"label": "b"}\n')
    assert done(cluster, asked(tmp_path / "odd.jsonl", dry_run=True)) is Exit.ROLLED_BACK
    out = capsys.readouterr().out
    assert "line 1: it says nothing of the prediction: write label or value." in out
    assert "line 2: it does not say which prediction it is of: write id or request_id." in out
    assert cluster.sent == []


def test_who_was_cut_off_goes_on_where_it_stopped(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = labels.with_name("labels.done")
    away: Answer = (503, {"error": "the store does not answer"})
    taken: Answer = (200, {"results": [{"taken": "counted"}] * 10})
    cluster = Cluster([taken, away, away])
    with pytest.raises(Unreachable, match="goes on where it stopped") as told:
        done(cluster, asked(labels, batch=10, progress=progress))
    assert "look at its pods and its store" in str(told.value)
    assert "the store does not answer" in capsys.readouterr().err
    cluster = Cluster()
    assert done(cluster, asked(labels, batch=10, progress=progress)) is Exit.PROMOTED
    assert [batch[0]["request_id"] for batch in cluster.sent] == ["order-11", "order-21"]


def status(code: int, message: str) -> Answer:
    """As the API server says it."""
    return code, {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


ELSEWHERE: dict[str, tuple[Answer | Failure, type[Failure], str]] = {
    "who may not": (
        status(403, "services/proxy is forbidden"),
        Refused,
        "you need the right to create services/proxy",
    ),
    "no Service": (status(404, 'services "iris" not found'), Absent, "not found"),
    "no pods": (status(503, "no endpoints available"), Unreachable, "no endpoints available"),
    "a cluster that is away": (Unreachable("It did not answer."), Unreachable, "did not answer"),
    "another server": ((404, {"detail": "Not Found"}), Unreachable, "HTTP 404"),
    "an answer of another form": ((200, {"ok": True}), Unreachable, "HTTP 200"),
    "results of another form": ((200, {"results": [1] * 30}), Unreachable, "HTTP 200"),
}


@pytest.mark.parametrize(("answer", "kind", "why"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_where_nothing_was_taken_it_is_told_at_once_what_is_wrong(
    answer: Answer | Failure, kind: type[Failure], why: str, labels: Path
) -> None:
    cluster = Cluster([answer])
    with pytest.raises(kind, match=why):
        done(cluster, asked(labels, patience="10m"))
    assert len(cluster.sent) == 1


WRONG: dict[str, tuple[str, dict[str, Any], type[Failure], str]] = {
    "no such file": ("nowhere.csv", {}, Absent, "nowhere.csv cannot be read: No such file"),
    "no header": ("bare.csv", {}, WrongUsage, "there must be id or request_id"),
    "a label that is no number": (
        "labels.csv",
        {"labels": "number"},
        WrongUsage,
        "line 2 cannot be read: label is 'setosa'; write a number",
    ),
    "labels of an unknown kind": ("labels.csv", {"labels": "word"}, WrongUsage, "write text, n"),
    "no patience": ("labels.csv", {"patience": "long"}, WrongUsage, "--patience: 'long' is no"),
    "another rollout": ("labels.csv", {"name": "rose"}, Absent, "There is iris"),
}


@pytest.mark.parametrize(("file", "changes", "kind", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_meant_is_told_before_anything_is_sent(
    file: str, changes: dict[str, Any], kind: type[Failure], why: str, labels: Path
) -> None:
    labels.with_name("bare.csv").write_text("order-1,setosa\n")
    cluster = Cluster()
    with pytest.raises(kind) as told:
        done(cluster, asked(labels.with_name(file), **changes))
    assert why in str(told.value)
    assert cluster.sent == []


def test_what_stood_before_a_line_that_cannot_be_read_was_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = "".join(f'{{"id": "a{n}", "label": "b"}}\n' for n in range(10))
    file, progress = tmp_path / "half.jsonl", tmp_path / "half.done"
    file.write_text(good + "{\n")
    cluster = Cluster()
    with pytest.raises(WrongUsage, match="line 11 is no JSON"):
        done(cluster, asked(file, batch=4, progress=progress))
    assert [len(batch) for batch in cluster.sent] == [4, 4, 2]
    told = "models/iris: 10 counted until then. The same command goes on where it stopped.\n"
    assert capsys.readouterr().err == told
    file.write_text(good + '{"id": "z", "label": "b"}\n')
    cluster = Cluster()
    assert done(cluster, asked(file, batch=4, progress=progress)) is Exit.PROMOTED
    assert cluster.sent == [[{"id": "z", "label": "b"}]]
    assert capsys.readouterr().out == "models/iris: 1 counted, 10 sent before.\n"


def test_a_server_that_takes_no_such_labels_ends_it(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels.write_text("request_id,label\n" + "".join(f"o-{n},a\n" for n in range(1000)))

    class Storeless(Cluster):
        def send(self, path: str, body: Sequence[dict[str, Any]]) -> tuple[int, bytes]:
            self.sent.append(list(body))
            return 422, b'{"error": "it needs a feedback store"}'

    cluster: Cluster = Storeless()
    progress = labels.with_name("labels.done")
    assert done(cluster, asked(labels, batch=200, progress=progress)) is Exit.ROLLED_BACK
    assert len(cluster.sent) < 400
    assert "models/iris: none of the first 200 labels was taken: it needs a" in (
        capsys.readouterr().err
    )
    # Once there is a store, all of them are sent.
    cluster = Cluster()
    assert done(cluster, asked(labels, progress=progress)) is Exit.PROMOTED
    assert sum(map(len, cluster.sent)) == 1000


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("the label must be a number, as the prediction was, not a text", "--labels number."),
        ("the label must be a truth value, as the prediction was, not a text", "--labels truth."),
        ("it is of no prediction that is known", ""),
    ],
)
def test_labels_of_another_type_are_told_how_to_be_read(
    error: str, advice: str, labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: Answer = (200, {"results": [{"status": 422, "error": error}] * 30})
    assert done(Cluster([wrong]), asked(labels)) is Exit.ROLLED_BACK
    err = capsys.readouterr().err
    assert err.count("Labels of CSV are text, unless you write") == bool(advice)
    assert advice in err


def test_nothing_to_send_is_told(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = labels.with_name("labels.done")
    for _ in range(2):
        assert done(Cluster(), asked(labels, progress=progress)) is Exit.PROMOTED
    assert capsys.readouterr().out.splitlines()[1] == "models/iris: none, 30 sent before."
    labels.write_text("request_id,label\n")
    assert done(Cluster(), asked(labels)) is Exit.PROMOTED
    assert capsys.readouterr().out == f"models/iris: none; {labels} has no labels.\n"


def test_progress_of_other_labels_is_not_taken_for_these(labels: Path) -> None:
    progress, cluster = labels.with_name("labels.done"), Cluster()
    assert done(cluster, asked(labels, progress=progress)) is Exit.PROMOTED
    other = labels.with_name("tomorrow.csv")
    for text in (labels.read_text().replace("order", "tomorrow"), "request_id,label\na,b\n"):
        other.write_text(text)
        with pytest.raises(WrongUsage, match="remembers 30 labels that were sent, and these begin"):
            done(cluster, asked(other, progress=progress))
    assert len(cluster.sent) == 1
    # What came to the same file since is sent.
    labels.write_text(labels.read_text() + "order-31,setosa\n")
    assert done(cluster, asked(labels, progress=progress)) is Exit.PROMOTED
    assert cluster.sent[1:] == [[{"request_id": "order-31", "label": "setosa"}]]


SAME = {
    "the labels and what is refused": {"refused": "labels.csv"},
    "the labels and the progress": {"progress": "labels.csv"},
    "by another way": {"refused": "./x/../labels.csv"},
    "the progress and what is refused": {"refused": "new", "progress": "new"},
}


@pytest.mark.parametrize("names", SAME.values(), ids=SAME.keys())
def test_two_files_that_are_one_are_told(names: dict[str, str], labels: Path) -> None:
    """What was refused would be read again, refused and written again, without end."""
    cluster, text = Cluster(refused=frozenset({"order-1"})), labels.read_text()
    paths = {option: labels.parent / name for option, name in names.items()}
    with pytest.raises(WrongUsage, match="name another file"):
        done(cluster, asked(labels, **paths))
    assert (cluster.sent, labels.read_text()) == ([], text)


def test_what_is_refused_is_on_the_disk_before_it_counts_as_done(labels: Path) -> None:
    """Killed at the next request, it loses none."""
    kept = labels.with_name("refused.jsonl")
    seen = []

    class Killed(Cluster):
        def send(self, path: str, body: Sequence[dict[str, Any]]) -> tuple[int, bytes]:
            seen.append(len(kept.read_text().splitlines()))
            return super().send(path, body)

    cluster = Killed(refused=frozenset({"order-1", "order-2"}))
    assert done(cluster, asked(labels, refused=kept, batch=10)) is Exit.ROLLED_BACK
    assert seen == [0, 2, 2]


def test_where_the_login_ends_meanwhile_it_is_told_how_far_it_came(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: Answer = (200, {"results": [{"taken": "counted"}] * 20})
    with pytest.raises(Refused, match="Log in again"):
        done(Cluster([taken, status(401, "Unauthorized")]), asked(labels, batch=20))
    assert "models/iris: 20 counted until then. Send the file again" in capsys.readouterr().err


def test_an_api_server_that_has_too_much_to_do_is_waited_for(labels: Path) -> None:
    taken: Answer = (200, {"results": [{"taken": "counted"}] * 29 + [{"status": 503}]})
    cluster = Cluster([taken, status(429, "too many requests")])
    assert done(cluster, asked(labels, patience="10s")) is Exit.PROMOTED
    assert [len(batch) for batch in cluster.sent] == [30, 1, 1]


def test_files_that_cannot_be_written_are_told(labels: Path) -> None:
    with pytest.raises(WrongUsage, match="cannot be written"):
        done(Cluster(), asked(labels, refused=labels / "no-folder"))
    cluster = Cluster()
    with pytest.raises(WrongUsage, match="cannot be kept"):
        done(cluster, asked(labels, progress=labels.with_name("none") / "progress"))
    with pytest.raises(WrongUsage, match="cannot be read: Is a directory"):
        done(cluster, asked(labels, progress=labels.parent))
    assert cluster.sent == []
    with pytest.raises(WrongUsage, match="/dev/full cannot be written: No space left"):
        done(Cluster(refused=frozenset({"order-1"})), asked(labels, refused=Path("/dev/full")))
