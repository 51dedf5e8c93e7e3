"""A small run of the dashboard's benchmark: what must hold whatever the machine, so nothing here
depends on time.
"""

import contextlib
from pathlib import Path

from tests.bench.dashboard_stage import Marks, board_stage, seen
from tests.support.api_client import wait_for
from tests.support.board_client import Listener

ROLLOUTS, ON_TRIAL, VIEWERS, CHANGES = 40, 5, 6, 20


def test_viewers_of_equal_rights_share_one_watch(tmp_path: Path) -> None:
    with board_stage(tmp_path, ROLLOUTS, ON_TRIAL) as stage, contextlib.ExitStack() as open_ones:
        listeners = []
        with stage.counted() as counted:
            for _ in range(VIEWERS):
                client = stage.newcomer()
                assert client.http.get("/").status_code == 200
                listeners.append(open_ones.enter_context(Listener(client).listening()))
            marks = Marks(stage, stage.crowd[:ON_TRIAL])
            for _ in range(CHANGES):
                marks.make()
            # Changes that come at once are told together, so the last one of each rollout counts.
            last = sorted(marks.sent)[-ON_TRIAL:]
            for listener in listeners:
                wait_for(
                    lambda one=listener: set(last) <= seen(one.heard).keys(),  # type: ignore[misc]
                    "a viewer to see every rollout's last change",
                )
    (requests,) = counted
    assert dict(requests.reads) == {"list modelrollouts": 1, "watch modelrollouts": 1}
    # Who he is, and whether he may list all: asked by his own token.
    assert requests.reviews == 2 * VIEWERS
