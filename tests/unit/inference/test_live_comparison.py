"""A sample of live rows is compared with scikit-learn, by a process that ends; the first mismatch
takes ONNX Runtime out of service.
"""

import asyncio
import json
import random
import socket
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from rollout_inference.app import Application, create_app
from rollout_inference.live_comparison import sampling
from rollout_inference.live_comparison.sampling import MOST, Live, _by_sklearn, compare, watch
from rollout_inference.live_comparison.worker import Found, Sample, compared, original
from rollout_inference.loading.loader import LoadedModel, load_folder
from rollout_inference.settings import Settings, SettingsError
from rollout_model.artifact import Artifact, verify
from rollout_model.errors import LoadFailed
from rollout_model.load_policy import LoadPolicy
from rollout_model.onnx_conversion import add_bundle
from rollout_model.outcome import PLAIN, Outcome, Question
from rollout_model.runtimes import Runtime
from rollout_model.signature import Rows
from rollout_model.table import Table
from rollout_model.table_signature import rows_of_frame
from tests.unit.inference.conftest import Save
from tests.unit.inference.mixed import birds, pipeline, species

ROWS = load_iris().data.tolist()
SETOSA = ROWS[0]


@dataclass
class Lying:
    """A conversion that gives another label than the model to large flowers."""

    model: Runtime
    name: str = "onnx"
    inline: bool = True
    also: tuple[str, ...] = ()
    takes_params: bool = False
    lies: bool = True

    async def predict(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        return self.run(rows, question)

    def run(self, rows: Rows, question: Question = PLAIN) -> Outcome:
        said = self.model.run(rows, question)
        labels = [
            "setosa" if self.lies and row[0] > 7 else label
            for row, label in zip(rows, said.labels, strict=True)
        ]
        return Outcome(labels, said.more)


@dataclass
class Server:
    """What serves, of which everything is compared."""

    settings: Settings
    loaded: LoadedModel
    lies: bool
    app: Application = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(
            self.settings, replace(self.loaded, runtime=Lying(self.loaded.runtime, lies=self.lies))
        )
        self.app.state.live = Live(1.0)

    async def ask(self, rows: Any) -> list[str]:
        reply = await self.app.endpoints["predict"].answer(
            {"path": "/", "headers": []}, json.dumps({"instances": rows}).encode()
        )
        assert reply.status == 200
        labels: list[str] = json.loads(reply.body)["predictions"]
        return labels

    def value(self, name: str, **labels: str) -> float | None:
        who = {"model": "iris", "version": "local", "revision": "abc123", **labels}
        return self.app.state.metrics.registry.get_sample_value(name, who)

    def runtimes(self) -> list[str]:
        found = [
            one for one in self.app.state.metrics.registry.collect() if one.name == "ml_model_info"
        ]
        return [sample.labels["runtime"] for one in found for sample in one.samples]


async def test_a_mismatch_takes_onnx_runtime_out_of_service(
    settings: Settings, loaded: LoadedModel
) -> None:
    server = Server(settings, loaded, lies=True)
    large = [row for row in ROWS if row[0] > 7]
    wrong = await server.ask(ROWS)
    await compare(server.app.state)
    assert (
        server.value("ml_runtime_compared_total"),
        server.value("ml_runtime_mismatch_total"),
    ) == (150, len(large))
    model = server.app.state.model
    assert model is not None
    assert (model.runtime.name, server.runtimes()) == ("sklearn", ["sklearn"])
    assert (
        model.plan.reason
        == f"{len(large)} of 150 live rows differ: 'setosa' was served, scikit-learn says"
        " 'virginica'"
    )
    assert "setosa" in {label for row, label in zip(ROWS, wrong, strict=True) if row[0] > 7}
    assert set(await server.ask(large)) == {"virginica"}
    assert not server.app.endpoints["predict"].quick


async def test_what_agrees_goes_on_and_is_counted(settings: Settings, loaded: LoadedModel) -> None:
    server = Server(settings, loaded, lies=False)
    await server.ask(ROWS)
    await compare(server.app.state)
    assert (
        server.value("ml_runtime_compared_total"),
        server.value("ml_runtime_mismatch_total"),
    ) == (150, 0)
    assert server.runtimes() == ["onnx"]
    await compare(server.app.state)
    assert server.value("ml_runtime_compared_total") == 150, "nothing came since"


async def test_a_model_that_cannot_be_read_any_more_changes_nothing(
    settings: Settings, loaded: LoadedModel, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(
        settings.model_copy(update={"model_path": copy, "model_digest": "sha256:" + "0" * 64}),
        loaded,
        lies=True,
    )
    await server.ask(ROWS)
    await compare(server.app.state)
    assert "DigestMismatch" in caplog.text
    assert (server.value("ml_runtime_compared_total"), server.runtimes()) == (0, ["onnx"])


async def test_a_mismatch_is_kept_until_scikit_learn_could_be_loaded(
    settings: Settings, loaded: LoadedModel, copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The registry is away for one round; the next one needs no other mismatch."""
    server = Server(settings.model_copy(update={"model_path": copy}), loaded, lies=False)
    state = server.app.state
    assert state.live is not None
    state.live.mismatch = "1 of 1 live rows differ"
    away = await asyncio.to_thread(copy.rename, copy.with_name("away"))
    await compare(state)
    assert (server.runtimes(), "is tried again in 300 s" in caplog.text) == (["onnx"], True)
    assert "taken out of service" not in caplog.text
    await asyncio.to_thread(away.rename, copy)
    await compare(state)
    assert server.runtimes() == ["sklearn"]
    assert state.model is not None
    assert state.model.plan.reason == "1 of 1 live rows differ"
    assert "ONNX Runtime was taken out of service" in caplog.text


async def test_a_mismatch_is_found_and_kept_where_the_model_cannot_be_loaded(
    settings: Settings, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is readable for the comparison, and not a moment later."""
    server = Server(settings, loaded, lies=True)
    await server.ask(ROWS)
    right, calls = original, list[Settings]()

    def once(settings: Settings, scratch: Path) -> Any:
        calls.append(settings)
        if len(calls) == 1:
            raise MemoryError
        return right(settings, scratch)

    monkeypatch.setattr(sampling, "original", once)
    await compare(server.app.state)
    assert server.runtimes() == ["onnx"]
    await compare(server.app.state)
    assert server.runtimes() == ["sklearn"]
    large = len([row for row in ROWS if row[0] > 7])
    assert server.value("ml_runtime_mismatch_total") == large, "counted once"


async def test_a_comparison_has_an_end(
    settings: Settings, loaded: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Less time than the process needs to start."""
    server = Server(settings.model_copy(update={"load_seconds": 0.01}), loaded, lies=True)
    await server.ask(ROWS)
    await compare(server.app.state)
    assert "live rows could not be compared: it took more than 0.02 s" in caplog.text
    assert server.runtimes() == ["onnx"]


def test_a_registry_that_hangs_does_not_hold_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener that never answers, as behind a dead connection."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(LoadFailed, match="models:/iris/1 could not be fetched within 5 s"):
            asyncio.run(original(Settings(model_uri="models:/iris/1", load_seconds=5), tmp_path))


async def test_the_server_compares_by_itself_where_it_is_told_to(
    settings: Settings, loaded: LoadedModel
) -> None:
    server = Server(
        settings.model_copy(update={"compare_percent": 100, "compare_seconds": 0}),
        loaded,
        lies=True,
    )
    watching = asyncio.create_task(watch(server.app.state))
    await asyncio.sleep(0.01)
    await server.ask(ROWS)
    await asyncio.wait_for(watching, 120)
    assert server.runtimes() == ["sklearn"]


async def test_nothing_is_noted_where_it_is_not_asked_for(
    settings: Settings, loaded: LoadedModel
) -> None:
    app = create_app(settings, loaded)
    await watch(app.state)
    assert app.state.live is None


def test_a_share_of_the_requests_is_noted_and_no_more_than_a_comparison_takes() -> None:
    some = Live(0.1, random.Random(0).random)
    for _ in range(1_000):
        some.note(np.array([SETOSA]), ["setosa"])
    rows, said = some.take()
    assert 60 < len(rows) == len(said) < 140
    every = Live(1)
    for _ in range(3):
        every.note(np.array([SETOSA] * 400), ["setosa"] * 400)
    rows, said = every.take()
    assert len(rows) == len(said) == MOST
    assert every.take() == ([], [])


def test_a_row_stays_with_what_was_said_to_it_whoever_comes_between() -> None:
    """A thread that answers is stopped anywhere,
    for another request or for a comparison to begin.
    """
    every, between = Live(1), list[Any]()

    class Stopped(list[str]):
        def __getitem__(self, part: Any) -> Any:
            every.note(np.array([[2.0]]), ["two"])
            between.append(every.take())
            every.note(np.array([[3.0]]), ["three"])
            return super().__getitem__(part)

    every.note(np.array([[1.0]]), Stopped(["one"]))
    found = [one for taken in (*between, every.take()) for one in zip(*taken, strict=True)]
    assert sorted(found) == [([1.0], "one"), ([2.0], "two"), ([3.0], "three")]


def sample(task: str, rows: Any, said: list[Any]) -> Sample:
    return Sample("", task, np.asarray(rows, dtype=float).tolist(), said)


@pytest.fixture
def bare(trained: Path) -> Artifact:
    """An artifact whose models take bare arrays of any width."""
    artifact = verify(trained, LoadPolicy())
    return replace(artifact, signature=replace(artifact.signature, named=False))


def test_ties_are_forgiven_and_nothing_else(bare: Artifact) -> None:
    x = np.array([[0.0], [0.0], [1.0]])
    tree = DecisionTreeClassifier().fit(x, ["a", "b", "b"])
    assert compared(sample("classifier", [[0.0], [1.0]], ["b", "b"]), bare, tree).differ == 0, (
        "one of each: either is right"
    )
    found = compared(sample("classifier", [[0.0], [1.0]], ["a", "a"]), bare, tree)
    assert (found.compared, found.differ, found.example) == (
        2,
        1,
        "'a' was served, scikit-learn says 'b'",
    )
    line = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    assert compared(sample("classifier", [[0.0], [0.1]], [1, 1]), bare, line).differ == 0
    assert compared(sample("classifier", [[0.0], [0.1]], [1, 0]), bare, line).differ == 1


def test_numbers_may_differ_by_what_single_precision_loses(bare: Artifact) -> None:
    line = LinearRegression().fit([[0.0], [1.0]], [0.0, 100.0])
    assert compared(sample("regressor", [[1.0], [0.5]], [100.0001, 50.0]), bare, line).differ == 0
    assert compared(sample("regressor", [[1.0], [0.5]], [100.1, 50.0]), bare, line).differ == 1
    assert compared(sample("regressor", [[1.0]], [float("nan")]), bare, line).differ == 1


HOUR = 3_600_000.0
DAYS: Any = 24 * HOUR * np.arange(10)
NAN = float("nan")


@pytest.mark.parametrize(
    ("expected", "said", "differ"),
    [
        pytest.param(1.79e12 + DAYS, 1.79e12 + DAYS + HOUR, 10, id="an hour on Unix milliseconds"),
        pytest.param(1.79e12 + DAYS, 1.79e12 + DAYS + 1, 0, id="a millisecond on them"),
        pytest.param(1e-6 * np.arange(10), 2e-6 * np.arange(10), 9, id="very small numbers"),
        pytest.param(np.array([NAN, 1.0, 2.0]), np.array([NAN, 1.0, 2.0]), 0, id="NaN beside NaN"),
        pytest.param(np.array([NAN, NAN]), np.array([NAN, NAN]), 0, id="nothing but NaN"),
        pytest.param(
            np.array([NAN, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]), 1, id="a number beside NaN"
        ),
    ],
)
def test_numbers_are_held_to_the_rule_of_the_proof(
    bare: Artifact, expected: Any, said: Any, differ: int
) -> None:
    rows = np.arange(float(len(expected)))[:, None]
    assert (
        compared(sample("regressor", rows, said.tolist()), bare, Saying(expected)).differ == differ
    )


@dataclass
class Saying:
    """An estimator that says so to each row, whatever it is."""

    what: Any

    def predict(self, rows: Any) -> Any:
        return self.what[: len(rows)]


@pytest.mark.parametrize(
    "travels", [True, False], ids=["its conversion travels", "converted by the pod"]
)
def test_one_live_row_is_measured_by_what_the_proof_saw(save: Save, travels: bool) -> None:
    """Alone it has no spread of its own, and an hour would be little beside 1.79e12."""
    rows = DAYS[:, None]
    line = LinearRegression().fit(rows, 1.79e12 + DAYS)
    folder, settings = save(line, rows)
    if travels:
        assert add_bundle(line, folder, rows).runtime == "onnx"
    artifact, right = verify(folder, settings.load_policy), float(line.predict(rows[:1])[0])
    assert compared(sample("regressor", rows[:1], [right + HOUR]), artifact, line).differ == 1
    assert compared(sample("regressor", rows[:1], [right + 1]), artifact, line).differ == 0


@pytest.mark.parametrize("percent", ["0", "101", "x", "-1"])
def test_a_percentage_that_is_none_is_refused(percent: str) -> None:
    with pytest.raises(
        SettingsError,
        match=r"MODEL_COMPARE_PERCENT='.*' is out of range: write a whole number from 1 to 100",
    ):
        Settings.from_environment({"MODEL_URI": "models:/iris/1", "MODEL_COMPARE_PERCENT": percent})


async def test_the_server_itself_needs_no_scikit_learn_for_it() -> None:
    code = (
        "import rollout_inference.app, sys; print([one for one in ('sklearn', 'skops', 'pandas') if"
        " one in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert (await process.communicate())[0].strip() == b"[]"


async def test_rows_of_mixed_columns_are_compared_as_well(save: Save) -> None:
    """Text, dates and gaps among them; and scikit-learn serves them from a mismatch on."""
    rows = birds()
    estimator = pipeline().fit(rows, species(rows))
    folder, settings = save(estimator, rows)
    model = load_folder(folder, settings)
    assert model.runtime.name == "onnx", model.plan.reason
    known = rows_of_frame(model.signature, rows)
    assert isinstance(known, Table)
    live = Live(1.0)
    live.note(known, estimator.predict(rows).tolist())
    cells, said = live.take()
    artifact = verify(folder, settings.load_policy)
    told = Sample(settings.model_dump_json(), "classifier", cells, said)
    assert compared(told, artifact, estimator) == Found(len(rows))
    wrong = msgspec.structs.replace(told, said=["Emperor", *said[1:]])
    found = compared(wrong, artifact, estimator)
    assert (found.differ, found.example) == (
        1,
        f"'Emperor' was served, scikit-learn says '{said[0]}'",
    )
    served = await _by_sklearn(model, settings, "told")
    assert served.runtime.run(known).labels == said
