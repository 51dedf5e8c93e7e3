"""The page: one self-contained HTML file."""

from rollout_cli.report.attempt_facts import facts
from rollout_cli.report.attempt_record import AttemptRecord
from rollout_cli.report.environment import environment
from rollout_cli.report.svg_plots import svg


def html(record: AttemptRecord, place: str = "") -> str:
    """The report, whole and self-contained."""
    env = environment("rollout_cli")
    picture = "" if record.trouble else svg(record)
    return env.get_template("report.html").render(facts(record), picture=picture, place=place)
