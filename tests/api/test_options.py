"""Every option of every command of `kubectl modelrollout`, in every output format: taken from the
command tree, none left out.
"""

import itertools
import json
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest
import typer
import yaml
from aiohttp import web

from rollout_cli.__main__ import run
from rollout_cli.app import app
from rollout_cli.exit_codes import Exit
from rollout_cli.output_format import Output
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase
from scripts.cluster.apiserver import free_port
from tests.support.api_client import ApiClient, wait_for
from tests.support.copying_pods import own_address
from tests.support.fake_kubelet import KubeletThread
from tests.support.github_server import TOKEN, github_server
from tests.support.kinds import GROUP, path_of
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served, serving

TREE: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = dict(TREE.commands)
"""Commands as Click has them, by name."""
STATES = ("iris", "rose", "tulip")
"""On trial; rolled back; not seen by any operator yet."""
WORDS = "denied the request: [require-team] write a label [/n], [red], :key: and :x:"
"""What a webhook may say: for a library that colours terminals it is full of orders."""
STEERED = ("promote", "approve", "abort", "retry", "skip", "pause", "resume")
VALUES: dict[str, list[str]] = {
    # of several commands
    "name": ["{name}"],
    "namespace": ["-n", "{ns}"],
    "context": ["--context", "test"],
    "kubeconfig": ["--kubeconfig", "{kubeconfig}"],
    "prometheus": ["--prometheus", "{url}"],
    "everywhere": ["-A"],
    "reason": ["--reason", "seen in the figures of the week"],
    # of one
    "dashboard.port": ["--port", "0"],
    "dashboard.no_browser": ["--no-browser"],
    "dashboard.read_only": ["--read-only"],
    "dashboard.mlflow": ["--mlflow", "https://mlflow.example.com"],
    "get.watch": ["--watch"],
    "status.wait": ["--wait", "--timeout", "1s"],
    "status.timeout": ["--timeout", "1s"],
    "status.model_uri": ["--wait", "--timeout", "1s", "--model-uri", "models:/iris/1"],
    "retry.forget_evidence": ["--forget-evidence"],
    "report.attempt": ["--attempt", "1"],
    "report.file": ["-f", "{folder}/report.html"],
    "feedback.file": ["{labels}"],
    "feedback.labels": ["--labels", "text"],
    "feedback.batch": ["--batch", "7"],
    "feedback.progress": ["--progress", "{folder}/labels.done"],
    "feedback.refused": ["--refused", "{folder}/refused.jsonl"],
    "feedback.patience": ["--patience", "1s"],
    "feedback.dry_run": ["--dry-run"],
    "promote-to.repository": ["-r", "{repository}"],
    "promote-to.path": ["-p", "prod/iris.yaml"],
    "promote-to.base": ["--base", "main"],
    "promote-to.named": ["--as", "iris"],
    "promote-to.environment": ["--from", "staging"],
    "promote-to.dry_run": ["--dry-run"],
    "lint.files": ["{manifest}"],
    "lint.values": ["--values", "{values}"],
    "simulate.manifest": ["{manifest}"],
    "simulate.metrics": ["--metrics", "{recording}"],
    "simulate.candidate": ["--metrics", "{recording}", "--candidate", "b"],
    "simulate.stable": ["--metrics", "{recording}", "--stable", "a"],
    "simulate.accuracy": ["--accuracy", "0.6"],
    "simulate.stable_accuracy": ["--stable-accuracy", "0.9"],
    "simulate.errors": ["--errors", "0.2"],
    "simulate.latency": ["--latency", "3"],
    "simulate.shift": ["--shift", "0.3"],
    "simulate.drift": ["--drift", "0.4"],
    "simulate.differs": ["--differs", "0.1"],
    "simulate.rps": ["--rps", "0"],
    "simulate.labels": ["--labels", "0"],
    "simulate.values": ["--values", "{values}"],
    "simulate.own": ["--values", "{values}", "--own", "queue=3:2"],
    "simulate.seed": ["--seed", "7"],
    "simulate.runs": ["--runs", "3"],
    "simulate.first_deploy": ["--first-deploy"],
}
"""What a person would write for each option; those of one command are named after it."""
MANIFEST: dict[str, Any] = {
    "apiVersion": f"{GROUP}/v1alpha1",
    "kind": "ModelRollout",
    "metadata": {"name": "iris"},
    "spec": {"modelUri": "models:/iris/2", "traffic": {"host": "iris.example.com"}},
}


def example(command: str, parameter: str) -> list[str] | None:
    """The words for an option or argument; None where nobody has written any."""
    return VALUES.get(f"{command}.{parameter}", VALUES.get(parameter))


def options(command: str) -> list[str]:
    """All options but -o, which every case has in turn."""
    return [
        p.name
        for p in COMMANDS[command].params
        if p.name and p.name != "output" and p.param_type_name == "option"
    ]


def needed(command: str) -> list[str]:
    """Options that a command does nothing without."""
    return [
        p.name
        for p in COMMANDS[command].params
        if p.name and p.required and p.param_type_name == "option"
    ]


def arguments(command: str) -> list[str]:
    return [p.name for p in COMMANDS[command].params if p.name and p.param_type_name == "argument"]


def formats(command: str) -> list[Output | None]:
    return [None, *(Output if any(p.name == "output" for p in COMMANDS[command].params) else ())]


@dataclass(frozen=True)
class Case:
    """One command line."""

    command: str
    option: str | None
    rollout: str
    output: Output | None

    def __str__(self) -> str:
        return " ".join(
            str(part) for part in (self.command, self.rollout, self.option, self.output) if part
        )

    @property
    def words(self) -> list[str]:
        given = [] if self.option is None else example(self.command, self.option) or []
        place = (
            [] if self.option in {"namespace", "everywhere"} or not self._asks else ["-n", "{ns}"]
        )
        form = [] if self.output is None else ["-o", str(self.output)]
        # A name and -A do not go together.
        named = [] if self.option == "everywhere" or not self.rollout else self._arguments
        always = [
            word
            for one in needed(self.command)
            if one != self.option
            for word in example(self.command, one) or []
        ]
        return [self.command, *named, *always, *given, *place, *form]

    @property
    def _asks(self) -> bool:
        return "namespace" in options(self.command)

    @property
    def _arguments(self) -> list[str]:
        return [
            word for one in arguments(self.command) for word in example(self.command, one) or []
        ]


def cases() -> Iterator[Case]:
    """Each option in each format; and each state, or none named, in each format."""
    for command, known in COMMANDS.items():
        one = "lily" if command in STEERED else "iris"
        for option, output in itertools.product([None, *options(command)], formats(command)):
            yield Case(command, option, one, output)
        # A command waits half a minute for an operator that is not there.
        states = (
            ()
            if "name" not in arguments(command)
            else ("rose",)
            if command in STEERED
            else STATES[1:]
        )
        none = () if any(p.required for p in known.params) else ("",)
        for state, output in itertools.product((*states, *none), formats(command)):
            yield Case(command, None, state, output)


@contextmanager
def label_takers() -> Iterator[tuple[str, int]]:
    """Where pods take every label: address and port."""

    async def take(request: web.Request) -> web.Response:
        labels = await request.json()
        return web.json_response({"results": [{"outcome": "correct"}] * len(labels)})

    app, host, port = web.Application(), own_address(), free_port()
    app.router.add_post("/feedback/", take)
    with serving(app, host, port):
        yield host, port


@pytest.fixture(scope="module")
def stage(api: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cluster with rollouts in each state, and what the placeholders stand for."""
    folder, ns, world = (
        tmp_path_factory.mktemp("options"),
        # A worker may come back to this module, and sets it up anew on the same API server.
        f"options-{uuid4().hex[:8]}",
        ScriptedWorld(accuracy={"1": 0.91, "2": 0.95, "3": 0.62}),
    )
    api.namespace(ns)
    api.namespace(f"{ns}-unseen")
    manifest, recording = folder / "manifest.yaml", folder / "recording.csv"
    manifest.write_text(yaml.safe_dump(MANIFEST))
    labels = folder / "labels.csv"
    labels.write_text("request_id,label\norder-1,setosa\n")
    values = folder / "values.yaml"
    values.write_text("metrics: {queue: {counts: Gauge, better: Lower, query: queue_size}}\n")
    series = (("a", "0.9"), ("b", "0.8"))
    lines = [
        f"{1_700_000_000 + n},ml_model_accuracy,{value},{revision},{revision}-0"
        for n in range(0, 600, 5)
        for revision, value in series
    ]
    recording.write_text("\n".join(["time,name,value,revision,pod", *lines]) + "\n")
    with (
        served(world) as url,
        OperatorProcess(api.kubeconfig, url, folder / "operator.log", WATCH_NAMESPACES=ns),
        label_takers() as pods,
        KubeletThread(api, world, ns) as kubelet,
        github_server(folder, {"prod/iris.yaml": yaml.safe_dump(MANIFEST)}) as github,
    ):
        kubelet.place = pods
        slow = {"steps": [{"weight": 10, "hold": "1h"}], "progressDeadline": "1h"}
        iris, rose, lily = (Rollout(api, ns, name) for name in ("iris", "rose", "lily"))
        for one in (iris, rose, lily):
            one.apply("models:/iris/1")
        for one in (iris, rose, lily):
            one.wait_phase("Promoted", 1)
        gates = [{"metric": "accuracy", "min": 0.7}, {"metric": "errorRate", "max": 0.01}]
        iris.apply("models:/iris/2", strategy=slow, analysis={"interval": "1s", "gates": gates})
        rose.apply("models:/iris/3")
        iris.wait_phase("Trial", 2)
        rose.wait_phase("RolledBack", 2)
        wait_for(lambda: iris.status().get("gates"), "a measurement")
        for name in ("tulip", "thorn"):
            unseen = {**MANIFEST, "metadata": {"name": name}}
            assert (
                api.apply(f"{path_of('ModelRollout', f'{ns}-unseen')}/{name}", unseen).status_code
                == 201
            )
        said = Status(observed_generation=1, phase=Phase.INVALID, message=WORDS).to_api()
        assert (
            api.patch(
                f"{path_of('ModelRollout', f'{ns}-unseen')}/thorn/status", {"status": said}
            ).status_code
            == 200
        )
        files = {
            "folder": folder,
            "manifest": manifest,
            "recording": recording,
            "values": values,
            "labels": labels,
            "kubeconfig": api.kubeconfig,
        }
        ours = {"github": github.url, "repository": github.repository}
        yield {"ns": ns, "url": url, **ours, **{key: str(file) for key, file in files.items()}}
    print((folder / "operator.log").read_text()[-4000:])


def filled(words: list[str], case: Case, stage: dict[str, str]) -> list[str]:
    places = {
        **stage,
        "name": case.rollout,
        "ns": f"{stage['ns']}-unseen" if case.rollout in {"tulip", "thorn"} else stage["ns"],
    }
    return [word.format(**places) for word in words]


def shape(value: Any) -> Any:
    """What holds of a value from one second to the next."""
    return sorted(value) if isinstance(value, dict) else type(value)


def interrupted(_: int, frame: FrameType | None) -> None:
    """Ctrl-C, but a moment later where it comes amid logging, whose lock would stay locked for the
    other threads of the tests.
    """
    while frame is not None:
        if frame.f_code.co_filename == logging.__file__:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return
        frame = frame.f_back
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_and_argument_has_an_example(command: str) -> None:
    """A new option is in the test below once somebody says what a person would write for it."""
    assert [
        one for one in (*options(command), *arguments(command)) if example(command, one) is None
    ] == []


def test_no_example_is_left_over() -> None:
    known = {
        key for c in COMMANDS for one in (*options(c), *arguments(c)) for key in (one, f"{c}.{one}")
    }
    assert VALUES.keys() <= known


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_no_option_ends_in_a_traceback(
    case: Case,
    stage: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("KUBECONFIG", stage["kubeconfig"])
    monkeypatch.setenv("MODELROLLOUT_PROMETHEUS", stage["url"])
    monkeypatch.setenv("GITHUB_API_URL", stage["github"])
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setattr("webbrowser.open", lambda _: False)  # `dashboard` finds none
    monkeypatch.chdir(tmp_path)  # `report` writes a file
    words = filled(case.words, case, stage)
    before = signal.signal(signal.SIGALRM, interrupted)
    # What is started in the background ignores Ctrl-C.
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    endless = case.option == "watch" or case.command == "dashboard"
    signal.setitimer(signal.ITIMER_REAL, 3 if endless else 0)
    try:
        code = run(words)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, ctrl_c)
    out, err = capsys.readouterr()
    assert "Traceback" not in err, err
    assert code != Exit.DEFECT, err
    if code == Exit.USAGE:
        # What a command does not print it says; nothing else is wrong with these lines.
        assert case.output is not None, err
        assert "prints no" in err or "do not go together" in err, err
    elif case.output is Output.JSON:
        json.loads(out)
    elif case.output is Output.YAML:
        again = [str(Output.JSON) if word == Output.YAML else word for word in words]
        assert run(again) == code
        assert shape(yaml.safe_load(out)) == shape(json.loads(capsys.readouterr().out))
    else:
        assert out or err


@pytest.mark.parametrize("command", ["get", "status", "history"])
def test_what_a_webhook_says_is_printed_as_it_stands(
    command: str,
    stage: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KUBECONFIG", stage["kubeconfig"])
    assert run([command, "thorn", "-n", f"{stage['ns']}-unseen"]) == 0
    assert WORDS in " ".join(capsys.readouterr().out.split())
