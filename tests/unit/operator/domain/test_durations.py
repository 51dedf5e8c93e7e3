"""Durations as people write them."""

from datetime import timedelta

import pytest

from rollout_operator.domain.api.api_types import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("0s", 0),
        ("", None),
        ("5", None),
        ("PT5S", None),
        ("1.5h", None),
        ("-1s", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="write 30s"):
            parse_duration(text)
    else:
        assert parse_duration(text) == timedelta(seconds=seconds)
        assert str(parse_duration(text)) == text
