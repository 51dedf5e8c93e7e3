"""How templates of pages are read: of the report, and of the dashboard."""

from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(package: str) -> Environment:
    """For the templates of a package: everything is escaped, and a missing name is an error."""
    env = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["moment"] = _moment
    return env


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
