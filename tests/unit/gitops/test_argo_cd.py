"""Argo CD's Lua, run in Lua 5.1 with the libraries that Argo CD gives (base and table), on statuses
that the engine makes.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from gitops.build import ACTIONS, KIND, configmap
from rollout_operator.domain.api.status import Status
from rollout_operator.domain.api.words import Phase, Reason
from rollout_operator.domain.machine.decide import decide
from tests.support.builders import (
    accuracy,
    at,
    observed,
    on_trial,
    ready,
    resolved,
    revision,
    spec,
)
from tests.unit.gitops.lacking import LACKING, V1, rollout

LUA = Path(__file__).parents[3] / "gitops" / "argo-cd"
V2 = revision(2)


def run(script: str, obj: dict[str, Any]) -> Any:
    """What a script returns for an object, as plain data."""
    lua = lua51.LuaRuntime(
        unpack_returned_tuples=True, register_builtins=False, register_eval=False
    )
    for absent in ("string", "math", "io", "os", "debug", "coroutine"):
        lua.globals()[absent] = None
    lua.globals().obj = lua.table_from(json.loads(json.dumps(obj)), recursive=True)
    return plain(lua.execute((LUA / script).read_text()))


def plain(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    found = {key: plain(one) for key, one in value.items()}
    return (
        [found[n] for n in range(1, len(found) + 1)]
        if found and set(found) == set(range(1, len(found) + 1))
        else found
    )


HEALTH = {
    "nobody has seen it": (rollout(None), "Progressing"),
    "as the CRD's default has it": (
        {**rollout(None), "status": {"observedGeneration": -1}},
        "Progressing",
    ),
    "pending": (rollout(Status()), "Progressing"),
    "on trial": (rollout(on_trial()), "Progressing"),
    "shifting": (rollout(on_trial(phase=Phase.SHIFTING)), "Progressing"),
    "rolling back": (rollout(on_trial(phase=Phase.ROLLING_BACK)), "Progressing"),
    "promoted": (
        rollout(
            Status(phase=Phase.PROMOTED, stable=V1, reason=Reason.GATES_PASSED, message="good")
        ),
        "Healthy",
    ),
    "promoted, but Git asks for more": (
        rollout(Status(phase=Phase.PROMOTED, stable=V1), generation=2),
        "Progressing",
    ),
    "rolled back": (
        rollout(on_trial(phase=Phase.ROLLED_BACK, reason=Reason.GATE_FAILED)),
        "Degraded",
    ),
    "invalid": (rollout(on_trial(phase=Phase.INVALID)), "Degraded"),
    "a spec that cannot be read": (rollout(Status(invalid="spec.replicas: no")), "Degraded"),
    "halted by a verdict": (rollout(on_trial(halted=True)), "Suspended"),
    "paused by its spec": (rollout(on_trial(paused_since=at(1)), paused=True), "Suspended"),
    "paused at rest": (rollout(Status(phase=Phase.PROMOTED, stable=V1), paused=True), "Healthy"),
    **{
        name: (obj, "Degraded" if stalled else "Progressing")
        for name, (obj, stalled) in LACKING.items()
    },
}


@pytest.mark.parametrize(("obj", "health"), HEALTH.values(), ids=HEALTH.keys())
def test_health(obj: dict[str, Any], health: str) -> None:
    said = run("health.lua", obj)
    assert said["status"] == health
    assert isinstance(said["message"], str)


def test_health_says_why() -> None:
    failed = rollout(
        on_trial(
            phase=Phase.ROLLED_BACK, reason=Reason.GATE_FAILED, message="accuracy 0.62 is below 0.7"
        )
    )
    assert run("health.lua", failed)["message"] == "accuracy 0.62 is below 0.7"
    for obj, _ in LACKING.values():
        (ready,) = (c for c in obj["status"]["conditions"] if c["type"] == "Ready")
        assert run("health.lua", obj)["message"] == ready["message"] != "good", "what lacks, first"


ENABLED = {
    "nobody has seen it": (rollout(None), {"pause"}),
    "starting": (rollout(on_trial(phase=Phase.STARTING)), {"abort", "pause"}),
    "on trial": (rollout(on_trial()), {"abort", "promote", "skip", "pause"}),
    "on trial and paused": (
        rollout(on_trial(paused_since=at(1)), paused=True),
        {"abort", "promote", "resume"},
    ),
    "halted": (rollout(on_trial(halted=True)), {"abort", "promote", "retry", "pause"}),
    "switching": (rollout(on_trial(phase=Phase.SWITCHING)), {"pause"}),
    "promoted": (rollout(Status(phase=Phase.PROMOTED, stable=V1)), set()),
    "rolled back": (rollout(on_trial(phase=Phase.ROLLED_BACK)), {"retry"}),
}


@pytest.mark.parametrize(("obj", "enabled"), ENABLED.values(), ids=ENABLED.keys())
def test_actions_that_can_be_done(obj: dict[str, Any], enabled: set[str]) -> None:
    found = run("actions/discovery.lua", obj)
    assert set(found) == set(ACTIONS)
    assert {name for name, action in found.items() if not action["disabled"]} == enabled


CARRIED_OUT: dict[str, tuple[Status, Callable[[Status], bool]]] = {
    "abort": (on_trial(), lambda s: s.phase is Phase.ROLLING_BACK and s.reason is Reason.ABORTED),
    "promote": (
        on_trial(),
        lambda s: s.phase is Phase.PROMOTING and s.reason is Reason.PROMOTED_BY_COMMAND,
    ),
    "skip": (on_trial(), lambda s: s.step == 1),
    "retry": (
        on_trial(phase=Phase.ROLLED_BACK, weight=0),
        lambda s: s.attempt == 3 and s.phase is Phase.STARTING,
    ),
}


@pytest.mark.parametrize(
    ("verb", "status", "done"), [(v, *c) for v, c in CARRIED_OUT.items()], ids=CARRIED_OUT.keys()
)
def test_the_engine_does_what_the_action_commands(
    verb: str, status: Status, done: Callable[[Status], bool]
) -> None:
    changed = run(f"actions/{verb}.lua", rollout(status))
    assert changed["metadata"]["annotations"] == {f"rollouts.mlops.dev/{verb}": "2"}
    assert changed["spec"] == {"modelUri": "models:/iris/2"}, "a command is no change of the spec"
    seen = observed(
        1,
        status=status,
        spec=spec("models:/iris/2"),
        commands={verb: "2"},
        workloads=ready(V1, V2),
        answers=accuracy(0.9, 1),
        resolution=resolved(2),
    )
    assert done(decide(seen).status)


def test_annotations_of_others_stay() -> None:
    obj = rollout(on_trial())
    obj["metadata"]["annotations"] = {"team": "ml"}
    assert run("actions/abort.lua", obj)["metadata"]["annotations"] == {
        "team": "ml",
        "rollouts.mlops.dev/abort": "2",
    }


def test_pause_and_resume() -> None:
    assert run("actions/pause.lua", rollout(on_trial()))["spec"]["paused"] is True
    assert run("actions/resume.lua", rollout(on_trial(), paused=True))["spec"]["paused"] is False


def test_the_configmap_holds_these_very_scripts() -> None:
    text = (LUA / "argocd-cm.yaml").read_text()
    assert text == configmap(), "run: python3 gitops/build.py"
    data = yaml.safe_load(text)["data"]
    assert data[f"resource.customizations.health.{KIND}"] == (LUA / "health.lua").read_text()
    actions = yaml.safe_load(data[f"resource.customizations.actions.{KIND}"])
    assert {a["name"]: a["action.lua"] for a in actions["definitions"]} == {
        n: (LUA / "actions" / f"{n}.lua").read_text() for n in ACTIONS
    }
    assert actions["discovery.lua"] == (LUA / "actions" / "discovery.lua").read_text()


def test_the_page_shows_what_lies_in_the_examples() -> None:
    docs = Path(__file__).parents[3] / "docs"
    page = (docs / "guides" / "argo-cd.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    example = docs / "examples" / "gitops" / "argo-cd" / "application.yaml"
    assert yaml.safe_load(block) == yaml.safe_load(example.read_text())
