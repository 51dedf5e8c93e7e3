"""Steering: real rollouts of a real operator, commanded from the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from rollout_operator.domain.api.names import GROUP
from tests.browser.conftest import Visits
from tests.support.api_client import ApiClient, wait_for
from tests.support.board_client import BoardClient
from tests.support.dashboard_process import DashboardProcess
from tests.support.fake_kubelet import KubeletThread
from tests.support.operator_process import OperatorProcess
from tests.support.rollout import Rollout
from tests.support.scripted_world import ScriptedWorld, served
from tests.support.seeded_board import SeededBoard
from tests.support.viewers import STEERS, Viewer, viewer

HOME = "steered"
LONG = {
    "steps": [{"weight": 10, "hold": "10m"}, {"weight": 50, "hold": "10m"}],
    "progressDeadline": "10m",
    "scaleDownDelay": "1s",
}
"""Steps that last longer than the tests: what ends them is a command."""


@dataclass(frozen=True)
class Steered:
    """A namespace with an operator, and somebody who may steer there."""

    api: ApiClient
    board: DashboardProcess
    admin: Viewer

    def on_trial(self, name: str, version: str = "2", **spec: Any) -> Rollout:
        """A rollout whose version is in the first step of its trial, beside version 1."""
        rollout = Rollout(self.api, HOME, name)
        rollout.promote("1", 1)
        rollout.apply(f"models:/iris/{version}", strategy=LONG, **spec)
        rollout.wait_phase("Trial", 2)
        return rollout

    def asked(self, name: str) -> Rollout:
        """A rollout whose version has passed, and waits for a person."""
        rollout = Rollout(self.api, HOME, name)
        rollout.promote("1", 1)
        steps = [{"weight": 50, "hold": "1s"}]
        rollout.apply("models:/iris/2", strategy={"steps": steps, "approval": "Required"})
        wait_for(lambda: rollout.status().get("approvalSince"), "a person to be asked")
        return rollout


@pytest.fixture(scope="module")
def steered(stage: SeededBoard, place: Path) -> Iterator[Steered]:
    api = stage.api
    api.namespace(HOME)
    world, log = ScriptedWorld(), place / "operator.log"
    with (
        served(world) as url,
        OperatorProcess(api.kubeconfig, url, log, WATCH_NAMESPACES=HOME),
        KubeletThread(api, world, HOME),
    ):
        yield Steered(api, stage.board, viewer(api, "pilot", STEERS, [HOME]))
    print(log.read_text()[-4000:])


def command(page: Page, verb: str, reason: str) -> None:
    """Press the button, say why, and confirm."""
    page.locator(f'[data-action="{verb}"]').click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill(reason)
    dialog.get_by_role("button", name=verb.capitalize(), exact=True).click()
    expect(page.locator("#result")).to_be_visible()


VERBS = {
    "promote": ("gets all requests and becomes stable", "Promoted", "iris/2"),
    "abort": ("gets no request any more, models:/iris/1 answers", "RolledBack", "iris/1"),
    "skip": ("The step ends without its gates", "Trial", "iris/1"),
    "pause": ("Weights stay as they are", "Trial", "iris/1"),
    "approve": ("is promoted as soon as its gates pass", "Promoted", "iris/2"),
}
"""What is said before, and then phase and stable version on the screen."""


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_says_what_will_follow_and_then_it_does(
    visit: Visits, steered: Steered, verb: str
) -> None:
    follows, phase, stable = VERBS[verb]
    rollout = steered.asked(verb) if verb == "approve" else steered.on_trial(verb)
    before = rollout.status()
    page = visit(steered.admin, f"/rollouts/{HOME}/{verb}")
    page.locator(f'[data-action="{verb}"]').click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#follows")).to_contain_text(follows)
    # Nothing is done before it is confirmed, and not without a reason.
    dialog.get_by_role("button", name=verb.capitalize(), exact=True).click()
    expect(dialog).to_be_visible()
    assert rollout.status()["attempt"] == 2
    dialog.get_by_label("Why?").fill(f"to see what {verb} does")
    dialog.get_by_role("button", name=verb.capitalize(), exact=True).click()
    expect(page.locator("#result")).to_be_visible()
    written = steered.api.get(rollout.path)["metadata"]["annotations"]
    assert written[f"{GROUP}/reason"] == f"{verb} 2: to see what {verb} does"
    assert written[f"{GROUP}/commanded-by"] == f"{verb} 2: {steered.admin.user}"
    # The page follows without being loaded again.
    expect(page.locator("#status")).to_have_attribute("data-phase", phase)
    expect(page.locator("#status")).to_contain_text(stable)
    if verb == "skip":
        expect(page.locator('#ladder [aria-current="step"]')).to_contain_text("50")
        assert rollout.status()["step"] == before["step"] + 1
    if verb == "pause":
        command(page, "resume", "seen enough")
        expect(page.locator('[data-action="pause"]')).to_be_visible()


def test_what_was_rolled_back_can_be_tried_again(visit: Visits, steered: Steered) -> None:
    rollout = steered.on_trial("retry", version="3", analysis={"interval": "1s", "maxHold": "5s"})
    rollout.wait_phase("RolledBack", 2)
    page = visit(steered.admin, f"/rollouts/{HOME}/retry")
    command(page, "retry", "labels were wrong")
    expect(page.locator("#status")).to_have_attribute("data-attempt", "3")


def test_changes_are_on_the_table_without_loading_it_again(visit: Visits, steered: Steered) -> None:
    rollout = steered.on_trial("live")
    page = visit(steered.admin, f"/?namespace={HOME}")
    line = page.locator(f'tr[data-rollout="{HOME}/live"]')
    expect(line).to_have_attribute("data-phase", "Trial")
    page.evaluate("() => { window.sameDocument = true; }")
    steered.api.patch(rollout.path, {"metadata": {"annotations": {f"{GROUP}/promote": "2"}}})
    expect(line).to_have_attribute("data-phase", "Promoted")
    expect(line.locator('[data-cell="stable"]')).to_have_text("iris/2")
    # A screen reader is told, too.
    expect(page.locator("#announce")).to_contain_text("live in steered is")
    assert page.evaluate("() => window.sameDocument")


def test_a_command_that_comes_too_late_does_nothing(visit: Visits, steered: Steered) -> None:
    rollout = steered.on_trial("late")
    page = visit(steered.admin, f"/rollouts/{HOME}/late")
    page.locator('[data-action="abort"]').click()
    page.get_by_role("dialog").get_by_label("Why?").fill("too slow")
    rollout.apply("models:/iris/4", strategy=LONG)
    rollout.wait_phase("Trial", 3)
    visit.excuse("409")
    page.get_by_role("dialog").get_by_role("button", name="Abort", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("is in attempt 3 by now")
    assert rollout.status()["phase"] == "Trial"


def test_commands_work_without_scripts(steered: Steered) -> None:
    rollout = steered.on_trial("plain")
    client = BoardClient.of(steered.board.url, steered.admin.token)
    path = f"/rollouts/{HOME}/plain/actions/abort"
    reply = client.post(path, csrf=client.csrf(path), attempt="2", reason="by hand")
    assert reply.status_code == 303, reply.text
    rollout.wait_phase("RolledBack", 2)
