"""What pages say: gates on a line, stable beside candidate, commands in words."""

import hashlib
import json
from pathlib import Path

import pytest

import rollout_dashboard
from rollout_cli.api.commands_patch import Verb
from rollout_cli.report.attempt_facts import facts as of_attempt
from rollout_cli.report.attempt_record import collect
from rollout_dashboard.context import Dashboard
from rollout_dashboard.gate_view import gate_view, scale
from rollout_dashboard.hub import events
from rollout_dashboard.registry_runs import Runs, read_run
from rollout_dashboard.rollout_facts import (
    columns,
    compared,
    facts,
    registry_link,
    side_by_side,
    window,
)
from rollout_dashboard.rollout_page import links
from rollout_dashboard.settings import Settings
from rollout_dashboard.steering import ORDER, offered
from rollout_operator.domain.api.differences import Difference
from rollout_operator.domain.api.gate_results import GateStatus
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from tests.support.builders import at, on_trial, revision, spec
from tests.unit.cli.builders import rollout
from tests.unit.dashboard.builders import gate

TO_2 = spec("models:/iris/2")
STABLE, CANDIDATE = revision(1, promoted=True), revision(2)
ON_TRIAL = rollout(on_trial(stable=STABLE, candidate=CANDIDATE), TO_2)


SCALES = {
    "a value above its bound": (gate(), True),
    "with an interval": (gate(lower=0.6, upper=0.95), True),
    "at nought, of nought": (gate(value=0.0, threshold=0.0), False),
    "a value of its own bound": (gate(value=0.7), True),
}


@pytest.mark.parametrize(("measured", "left"), SCALES.values(), ids=SCALES)
def test_everything_lies_on_the_line(measured: GateStatus, left: bool) -> None:
    laid = scale(measured, left)
    assert laid is not None
    known = [x for x in (laid.threshold, laid.value, laid.lower, laid.upper) if x is not None]
    assert all(0 < x < 100 for x in known)
    if laid.lower is not None and laid.upper is not None and laid.value is not None:
        assert laid.lower < laid.value < laid.upper
    if measured.value is not None and laid.value is not None:
        assert (laid.value > laid.threshold) == (measured.value > measured.threshold)


def test_a_gate_without_a_value_has_no_line_and_says_why() -> None:
    silent = gate(value=None, measurement="NoEvidence", message="accuracy: no series")
    shown = gate_view(ON_TRIAL, silent, 0, at(10))
    assert shown.scale is None
    assert shown.message == "no series"


def test_labels_that_are_needed_and_when_they_are_there() -> None:
    waits = gate(evidence="Labelled", labels_left=120, eta=at(310), evidence_for=0.62)
    shown = gate_view(ON_TRIAL, waits, 0, at(10))
    assert shown.left == "about 120 more labels, there in 5 min (12:05 UTC)"
    assert shown.towards == (62, 0)


SIGNATURES = {
    "as MLflow writes it": (
        json.dumps({"inputs": json.dumps([{"name": "x", "type": "double", "required": True}])}),
        "x: double",
    ),
    "a column that may be missing": (
        json.dumps({"inputs": [{"name": "x", "type": "long", "required": False}]}),
        "x: long?",
    ),
    "a tensor": (
        json.dumps(
            {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]}
        ),
        "float32[-1, 4]",
    ),
    "none": ("", ""),
    "what is no signature": ("[1]", "cannot be read"),
}


@pytest.mark.parametrize(("signature", "expected"), SIGNATURES.values(), ids=SIGNATURES)
def test_the_columns_of_a_signature(signature: str, expected: str) -> None:
    assert columns(revision(1, signature=signature), "inputs") == expected


def test_what_differs_is_marked() -> None:
    lines = {line.what: line.differs for line in compared(STABLE, CANDIDATE)}
    assert lines["Version"]
    assert not lines["Image"]
    assert not any(line.differs for line in compared(STABLE, None))


def test_who_may_list_neither_pods_nor_events_is_told_so() -> None:
    made = facts(ON_TRIAL, None, None, at(10))
    assert made.pods is None
    assert made.events is None


def test_a_run_is_read_with_its_last_metrics_and_its_parameters() -> None:
    data = {
        "metrics": [{"key": "accuracy", "value": 0.91234}, {"key": "loss", "value": "NaN"}],
        "params": [{"key": "data_digest", "value": "sha256:ab"}],
    }
    run = read_run({"run": {"data": data}})
    assert run.metrics == {"accuracy": "0.9123", "loss": "NaN"}
    assert run.parameters == {"data_digest": "sha256:ab"}


@pytest.mark.parametrize("run", ["", "../x", "a b", "a&b=c", "x" * 65])
def test_nothing_is_asked_for_what_is_no_run(run: str) -> None:
    assert Runs("http://127.0.0.1:1").read(run).metrics == {}


def test_a_rollout_says_when_it_is_frozen_and_when_it_is_next() -> None:
    friday = {
        "schedule": "FREQ=WEEKLY;BYDAY=FR",
        "start": "2026-01-02T18:00",
        "timeZone": "Europe/Berlin",
        "duration": "62h",
    }
    frozen = rollout(
        on_trial(stable=STABLE, candidate=CANDIDATE),
        spec("models:/iris/2", strategy__windows=[friday]),
    )
    # The story begins on a Monday.
    assert window(frozen, (), at(0)) == "frozen from 2026-11-27 17:00 UTC on"
    assert window(frozen, (), at(5 * 86400)).startswith("frozen until 2026-11-30 07:00 UTC: window")
    assert window(ON_TRIAL, (), at(0)) == ""


def test_copies_that_differ_stand_on_the_page_of_the_attempt_and_are_not_run() -> None:
    said = {
        "revision": CANDIDATE.revision,
        "outcome": "different",
        "at": at(5),
        "stable": "<b>a</b>",
        "candidate": '{"predict":"b"}',
        "sent": ({"field": "age", "value": "<script>"},),
        "masked": ("income",),
    }
    differ = (Difference.model_validate(said),)
    tried = on_trial(stable=STABLE, candidate=CANDIDATE, differences=differ)
    board = Dashboard(Settings(), None, lambda _: None)  # type: ignore[arg-type]

    def page(status: Status) -> str:
        record = collect(None, None, rollout(status, TO_2), None, with_events=False)  # type: ignore[arg-type]
        about = {"title": "iris", **of_attempt(record), **links(board)}
        return board.render("attempt.html", None, **about)

    text = page(tried)
    for part in ("&lt;b&gt;a&lt;/b&gt;", "age <code>&lt;script&gt;</code>", "masked: income"):
        assert part in text
    assert "<b>" not in text
    assert 'id="differences"' in text
    assert 'id="differences"' not in page(tried.model_copy(update={"differences": ()}))
    other = differ[0].model_copy(update={"revision": "another"})
    assert 'id="differences"' not in page(tried.model_copy(update={"differences": (other,)}))


def test_two_runs_stand_side_by_side_by_name() -> None:
    lines = side_by_side({"seed": "1", "old": "x"}, {"seed": "2"})
    assert [(line.what, line.differs) for line in lines] == [("old", False), ("seed", True)]


LINKS = {
    "a version": ("https://m", "models:/iris/7", "https://m/#/models/iris/versions/7"),
    "a name with a blank": ("https://m", "models:/a b/7", "https://m/#/models/a%20b/versions/7"),
    "no address": ("", "models:/iris/7", ""),
    "no version": ("https://m", "models:/iris", ""),
}


@pytest.mark.parametrize(("base", "uri", "expected"), LINKS.values(), ids=LINKS)
def test_the_link_to_mlflow(base: str, uri: str, expected: str) -> None:
    assert registry_link(base, uri) == expected


def test_every_command_has_its_button() -> None:
    assert set(ORDER) == set(Verb)


def test_only_what_the_operator_would_do_is_offered() -> None:
    assert Verb.ABORT in offered(ON_TRIAL)
    assert Verb.RETRY not in offered(ON_TRIAL)
    status = on_trial(stable=STABLE, candidate=CANDIDATE, phase=Phase.PROMOTED)
    done = rollout(status, TO_2)
    assert Verb.ABORT not in offered(done)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_watch_is_read_in_pieces_of_any_length(size: int) -> None:
    told = [{"type": "ADDED", "object": {"n": n, "text": "ü"}} for n in range(3)]
    body = b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in told)
    assert list(events(body[n : n + size] for n in range(0, len(body), size))) == told


VENDORED = {
    "htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "uplot-1.6.32.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""Files of others, as they published them: sha256."""


def test_files_of_others_are_as_they_published_them_each_with_its_licence() -> None:
    folder = Path(rollout_dashboard.__file__).parent / "static" / "vendor"
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.suffix != ".LICENSE"
    }
    assert found == VENDORED
    assert all((folder / f"{name.split('-')[0]}.LICENSE").exists() for name in VENDORED)
