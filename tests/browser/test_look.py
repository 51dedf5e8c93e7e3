"""Looking: what each page shows of rollouts in every phase."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visits
from tests.support.seeded_board import People, SeededBoard
from tests.support.seeds import TEAM_A, TEAM_B

CHURN, PRICES = f"/rollouts/{TEAM_A}/churn", f"/rollouts/{TEAM_A}/prices"


def row(page: Page, place: str, cell: str) -> str:
    """What a cell of the table of all rollouts says."""
    found = page.locator(f'tr[data-rollout="{place}"] [data-cell="{cell}"]')
    return " ".join(found.inner_text().split())


def test_a_token_that_is_pasted_in_opens_the_dashboard(visit: Visits, people: People) -> None:
    page = visit(None, CHURN)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("Token").fill(people.watcher.token)
    page.get_by_role("button", name="Log in").click()
    # To where one wanted to go.
    expect(page.get_by_role("heading", name="churn")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("You are logged out")).to_be_visible()
    page.goto(CHURN)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_token_that_is_none_is_refused_in_words(visit: Visits) -> None:
    page = visit(None)
    page.get_by_label("Token").fill("not-a-token")
    visit.excuse("401")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("The cluster does not take that token.")


def test_every_rollout_has_a_line_and_those_that_need_a_person_are_first(
    visit: Visits, people: People, stage: SeededBoard
) -> None:
    page = visit(people.watcher)
    lines = page.locator("#rows tr")
    expect(lines).to_have_count(len(stage.seeds))
    for seed in stage.seeds:
        assert row(page, seed.place, "phase") == seed.status.phase, seed.place
    groups = [str(line.get_attribute("data-group")) for line in lines.all()]
    order = ["person", "trial", "rolled-back", "rest"]
    assert groups == sorted(groups, key=order.index)
    person = {"fraud", "demand", "vision", "alerts"}
    names = [line.locator('[data-cell="name"] a').inner_text() for line in lines.all()]
    assert set(names[: len(person)]) == person


LINES = (
    (f"{TEAM_A}/churn", "stable", r"churn/1"),
    (f"{TEAM_A}/churn", "candidate", r"churn/2"),
    (f"{TEAM_A}/churn", "weight", r"20 %"),
    (f"{TEAM_A}/churn", "gate", r"latencyP95Seconds .*0\.118"),
    (f"{TEAM_A}/churn", "waits", r"step 2 of 3, held 30 min"),
    (f"{TEAM_A}/churn", "since", r"2\d min"),
    (f"{TEAM_A}/fraud", "waits", r"a person: it is halted"),
    (f"{TEAM_A}/demand", "waits", r"a person: it is paused"),
    (f"{TEAM_A}/prices", "gate", r"accuracy .*0\.852"),
    (f"{TEAM_A}/prices", "waits", r"another version, or retry"),
    (f"{TEAM_A}/vision", "waits", r"a person to mend the spec: .*not in the registry"),
    (f"{TEAM_A}/iris", "since", r"4 d"),
    (f"{TEAM_B}/ranking", "waits", r"the candidate's pods"),
    (f"{TEAM_B}/texts", "waits", r"the registry"),
    (f"{TEAM_B}/alerts", "waits", r"1 of 2 pods is Ready"),
)


def test_a_line_says_what_it_waits_for_and_how_long(visit: Visits, people: People) -> None:
    page = visit(people.watcher)
    said = {(rollout, cell): row(page, rollout, cell) for rollout, cell, _ in LINES}
    assert [one for one in LINES if not re.search(one[2], said[one[:2]])] == [], said


def test_one_rollout_shows_its_evidence(visit: Visits, people: People) -> None:
    page = visit(people.watcher, CHURN)
    expect(page.get_by_role("heading", level=1)).to_have_text("churn")
    rungs = page.locator("#ladder .rungs li")
    expect(rungs.nth(0)).to_have_class("done")
    expect(page.locator('#ladder [aria-current="step"]')).to_have_count(1)
    expect(page.locator("#ladder")).to_contain_text("20 %")
    gates = page.locator("#gates .gate")
    expect(gates).to_have_count(3)
    accuracy = gates.nth(0)
    for said in ("≥ 0.9", "0.926", "0.887 to 0.957", "61 %", "4 %", "190"):
        expect(accuracy).to_contain_text(said)
    # Where the value stands, with its interval, beside the threshold.
    for part in ("interval", "threshold", "value"):
        expect(accuracy.locator(f"svg .{part}").first).to_be_attached()
    compared = page.locator("#revisions")
    for said in ("churn/1", "churn/2", "amount: double"):
        expect(compared).to_contain_text(said)
    expect(page.locator("#pods tbody tr")).to_have_count(3)
    expect(page.locator("#timeline")).to_contain_text("Step 2 of 3")
    expect(page.locator("#history")).to_contain_text("Promoted")
    page.get_by_text("As YAML").click()
    expect(page.locator("#spec")).to_contain_text("modelUri: models:/churn/2")


def test_gates_are_drawn_over_time(visit: Visits, people: People) -> None:
    page = visit(people.watcher, CHURN)
    expect(page.locator("#plots canvas").first).to_be_visible()
    for title in ("Share of requests", "Accuracy", "Server errors", "p95 latency"):
        expect(page.locator("#plots")).to_contain_text(title)
    for figure in page.locator("#plots figure").all():
        assert figure.evaluate("f => f.scrollWidth <= f.clientWidth"), "it covers its neighbour"
    # What is known of the accuracy: an interval, in figures and as a band around the line.
    accuracy = page.locator('#plots [data-plot="accuracy"]')
    expect(accuracy).to_contain_text(re.compile(r"at least 0\.\d+, at most 0\.\d+"))
    # The share that is served, beside the one that is asked for: requests come as they like.
    expect(page.locator("[data-served] strong")).to_have_text(re.compile(r"[12]\d(\.\d)? %"))


def test_the_exact_queries_are_there_to_be_asked(visit: Visits, people: People) -> None:
    page = visit(people.watcher, CHURN)
    page.get_by_role("button", name="Measure now").click()
    evidence = page.locator("#evidence")
    expect(evidence.locator("article")).to_have_count(3)
    expect(evidence.locator("code").first).to_contain_text("ml_")


def test_pods_say_why_they_are_not_ready(visit: Visits, people: People) -> None:
    page = visit(people.watcher, f"/rollouts/{TEAM_B}/ranking")
    expect(page.locator("#pods")).to_contain_text("Unschedulable")


def test_one_attempt_shows_what_report_writes(visit: Visits, people: People) -> None:
    page = visit(people.watcher, PRICES)
    page.locator("#history").get_by_role("link", name="2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("prices, attempt 2")
    expect(page.locator("#status")).to_contain_text("accuracy 0.852 is below 0.9")
    expect(page.locator("#gates tbody tr")).to_have_count(3)
    expect(page.locator("#plots canvas").first).to_be_visible()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param(f"/rollouts/{TEAM_A}/nobody", "Not there", id="a rollout that is not there"),
        pytest.param(f"{PRICES}/attempts/7", "Not there", id="an attempt that is forgotten"),
        pytest.param(f"{PRICES}/attempts/x", "Not there", id="an attempt that is no number"),
        pytest.param("/nowhere", "Not there", id="a page that is not there"),
        pytest.param(f"{CHURN}/actions/delete", "Not there", id="a command that is none"),
    ],
)
def test_what_is_not_there_is_said(visit: Visits, people: People, path: str, says: str) -> None:
    page = visit(people.watcher, "/")
    visit.excuse("404")
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text(says)


def test_what_comes_from_outside_is_text(visit: Visits, people: People, stage: SeededBoard) -> None:
    seed = next(seed for seed in stage.seeds if seed.name == "iris")
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    page = visit(people.watcher, f"/rollouts/{TEAM_A}/iris")
    try:
        reply = stage.api.patch(f"{seed.path}/status", {"status": {"message": evil}})
        assert reply.status_code == 200, reply.text
        expect(page.locator("#status")).to_contain_text(evil)
        page.reload()
        expect(page.locator("#status")).to_contain_text(evil)
        assert page.locator("img").count() == 0
    finally:
        seed.replant(stage.api)
