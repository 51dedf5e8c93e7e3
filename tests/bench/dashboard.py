"""`make bench-dashboard`: what the dashboard costs with 1,000 rollouts, 50 of them on trial, and 20
viewers with equal rights, on a real kube-apiserver.

Nineteen viewers follow the events as browsers do, one is a real browser; each has a token of its
own. Every change of status is a write of this benchmark, with a number that can be read on the
screen. Writes build/dashboard.json.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Page
from rich.console import Console

from tests.bench.dashboard_stage import BoardStage, Marks, Requests, board_stage, seen
from tests.bench.operator.process import cpu_seconds, memory
from tests.bench.traffic_figures import Figure, keep, print_table
from tests.support import chromium
from tests.support.api_client import wait_for
from tests.support.board_client import BoardClient, Listener

TARGET = Path("build/dashboard.json")
MINUTE = 60.0
OPENED = 20
"""How often the first page is opened by each way."""
WATCH = """
() => {
  window.marks = {};
  const look = () => {
    for (const [, mark] of document.body.innerText.matchAll(/about (\\d+) more labels/g)) {
      window.marks[mark] ??= Date.now() / 1000;
    }
  };
  new MutationObserver(look).observe(document.body,
    {subtree: true, childList: true, characterData: true});
}
"""
"""Notes when each mark is in the page's text, Unix time."""
say = Console(stderr=True).print


def line(
    metric: str, value: float, unit: str = "", goal: str = "", met: bool = True, against: str = ""
) -> Figure:
    """One figure, rounded to what it is good for."""
    return Figure(metric, round(value, 3), unit, goal, met, against)


def at_most(metric: str, value: float, unit: str, most: float, against: str = "") -> Figure:
    """One that must not be greater."""
    return line(metric, value, unit, f"<= {most:g}", value <= most, against)


def opened(client: BoardClient, path: str) -> tuple[float, float, float]:
    """Open a page: milliseconds until all of it was there, KiB of it, and KiB as it was sent."""
    began = time.perf_counter()
    with client.http.stream("GET", path) as reply:
        body = reply.read()
        took = time.perf_counter() - began
        sent = reply.num_bytes_downloaded
    assert reply.status_code == 200, reply.text
    return 1000 * took, len(body) / 1024, sent / 1024


def of_pages(client: BoardClient, cold: float) -> Iterator[Figure]:
    """The first page, and the one with all rows."""
    yield line("a new dashboard has listed all", cold, "ms", against="nobody had looked")
    for name, path, most in (("first page", "/", (300, 200)), ("all rows", "/?rows=all", None)):
        times, sizes, sent = zip(*(opened(client, path) for _ in range(OPENED)), strict=True)
        against = f"of {OPENED}, at the client"
        if most is None:
            yield line(f"{name}: time, longest", max(times), "ms", against=against)
            yield line(f"{name}: size", max(sizes), "KiB")
            yield line(f"{name}: as sent", max(sent), "KiB")
        else:
            yield line(f"{name}: time, median", statistics.median(times), "ms", against=against)
            yield at_most(f"{name}: time, longest", max(times), "ms", most[0], against)
            yield at_most(f"{name}: size", max(sizes), "KiB", most[1])
            yield line(f"{name}: as sent", max(sent), "KiB")


def of_requests(one: Requests, many: Requests, viewers: int, seconds: float) -> Iterator[Figure]:
    """What the viewers cost the API server."""
    few, all_of_them = sum(one.reads.values()), sum(many.reads.values())
    goal = f"<= {few} (1 viewer) + 1"
    per = f"in {seconds:.0f} s"
    yield line("API requests with 1 viewer", few, "", against=per)
    yield line(
        f"API requests with {viewers} viewers", all_of_them, "", goal, all_of_them <= few + 1, per
    )
    each = many.reviews / viewers / (seconds / MINUTE)
    yield line(
        "questions about his rights, of each viewer and minute",
        each,
        "",
        against="by his own token: RBAC decides for each",
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


def of_lags(marks: Marks, listeners: Sequence[Listener], page: Page) -> Iterator[Figure]:
    """How long changes take to the screens."""
    on_screen = {int(k): v for k, v in page.evaluate("() => window.marks").items()}
    told = [seen(listener.heard) for listener in listeners]
    sent = marks.sent
    everyone = [*told, on_screen]
    lags = sorted(who[m] - at for who in everyone for m, at in sent.items() if m in who)
    lost = sum(m not in who for who in everyone for m in sent)
    shown = sorted(on_screen[m] - at for m, at in sent.items() if m in on_screen)
    against = f"{len(sent)} changes, {len(everyone)} viewers"
    yield line("change of status on the screen, p50", quantile(lags, 0.5), "s", against=against)
    yield at_most("change of status on the screen, p99", quantile(lags, 0.99), "s", 1, against)
    yield at_most("… longest", lags[-1], "s", 5, against)
    yield at_most(
        "… in the real browser's page, p99", quantile(shown, 0.99), "s", 1, f"{len(shown)} changes"
    )
    yield line("changes that a viewer never saw", lost, "", "0", lost == 0, against)


def run(stage: BoardStage, viewers: int, on_trial: int, seconds: float) -> Iterator[Figure]:
    """All figures of a stage."""
    began = time.perf_counter()
    first = stage.newcomer()
    wait_for(lambda: "data-rollout" in first.http.get("/").text, "the first list")
    yield from of_pages(first, 1000 * (time.perf_counter() - began))
    marks = Marks(stage, stage.crowd[:on_trial])
    # As many as trials of the default interval of 15 s make.
    rate = on_trial / 15
    say(f"1 viewer for {seconds:.0f} s", style="dim")
    with contextlib.ExitStack() as all_of_them:
        enter = all_of_them.enter_context
        listeners = [enter(Listener(first).listening())]
        with stage.counted() as alone, marks.going_on(rate):
            time.sleep(seconds)
        clients = [stage.newcomer() for _ in range(viewers - 1)]
        listeners += [enter(Listener(client).listening()) for client in clients[:-1]]
        browser = enter(chromium.browser())
        context = browser.new_context(viewport=chromium.DESK)
        for cookie in clients[-1].http.cookies.jar:
            context.add_cookies(
                [{"name": cookie.name, "value": cookie.value or "", "url": stage.board.url}]
            )
        page = context.new_page()
        page.goto(stage.board.url)
        page.evaluate(WATCH)
        say(f"{viewers} viewers for {seconds:.0f} s", style="dim")
        cpu = cpu_seconds(stage.board.pid)
        marks = Marks(stage, stage.crowd[:on_trial])
        with stage.counted() as together, marks.going_on(rate):
            time.sleep(seconds)
        cpu = cpu_seconds(stage.board.pid) - cpu
        time.sleep(5)  # what was sent last
        yield from of_requests(alone[0], together[0], viewers, seconds)
        yield from of_lags(marks, listeners, page)
    yield line("CPU with all of them", 1000 * cpu / seconds, "ms/s")
    yield at_most("memory, peak", memory(stage.board.pid), "MiB", 120)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-dashboard", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--on-trial", type=int, default=50)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120, help="of each measurement")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as place:
        say(f"planting {wanted.rollouts} rollouts", style="dim")
        with board_stage(Path(place), wanted.rollouts, wanted.on_trial) as stage:
            found = list(run(stage, wanted.viewers, wanted.on_trial, wanted.seconds))
    keep(TARGET, found)
    print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
