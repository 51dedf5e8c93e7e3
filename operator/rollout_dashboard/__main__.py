"""Command line of the dashboard in a cluster; on one's own machine it is
`kubectl modelrollout dashboard`.
"""

import logging
import os
import sys

from rollout_cli.exit_codes import Failure
from rollout_dashboard.settings import Settings


def main() -> None:
    """Serve until the process is told to end; a wrong environment ends it at once."""
    try:
        settings = Settings.from_environment(os.environ)
        logging.basicConfig(level=settings.log_level)
        # What urllib3 tells of connections is no news of a dashboard.
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        from rollout_dashboard.server import in_cluster, listen, serve  # noqa: PLC0415 - told below

        place, settings = listen(settings)
        serve(in_cluster(settings), place)
    except Failure as failure:
        print(f"Error: {failure}", file=sys.stderr)
        sys.exit(failure.code)


if __name__ == "__main__":
    main()
