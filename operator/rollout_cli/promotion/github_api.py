"""What is known of GitHub's REST API before anything is asked: its URL, its limits, the names of
branches. Pure.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

URL = "GITHUB_API_URL"
"""The variable, named as GitHub's own workflows have it."""
DEFAULT = "https://api.github.com"
WRITE = f"write {DEFAULT}, or https://HOST/api/v3 of your server"
_SITE = frozenset({"github.com", "www.github.com"})
_NO_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, ends of lines, and what a terminal has sent that is no UTF-8."""
LONGEST_TITLE = 256
"""Characters of a pull request's title, which GitHub refuses where it has more."""
LONGEST_MODEL = 100
"""Characters of a model's name in a branch; Git keeps a branch as a file of at most 255."""


def fault_of(url: str) -> str:
    """What is wrong with a URL of the API, as a sentence; "" where nothing is."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return f"{URL} is no URL: {WRITE}"
    if parts.username is not None or parts.password is not None:
        return f"{URL} names a user: leave that out, GITHUB_TOKEN says who asks"
    if not known or parts.query or parts.fragment or not url.isprintable() or " " in url:
        return f"{URL}={url!r} is no URL: {WRITE}"
    if parts.hostname in _SITE:
        return f"{URL}={url!r} is the site and not its API: {WRITE}"
    return ""


def used_up(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Whether an answer says that too much was asked, and not that it may not be.

    Source: docs.github.com/en/rest, "Rate limits for the REST API": 403 or 429, with one of two
    headers or with a sentence. headers: whatever the case of their names.
    """
    named = {name.lower(): value for name, value in headers.items()}
    return status == 429 or (
        status == 403
        and (
            named.get("x-ratelimit-remaining") == "0"
            or "retry-after" in named
            or "rate limit" in message.lower()
        )
    )


def when_again(headers: Mapping[str, str]) -> str:
    """When it may be asked again, as the answer says it; "later" where it does not."""
    named = {name.lower(): value for name, value in headers.items()}
    if (seconds := named.get("retry-after", "")).isdecimal():
        return f"in {seconds} s"
    reset = named.get("x-ratelimit-reset", "")
    if named.get("x-ratelimit-remaining") == "0" and reset.isdecimal() and len(reset) < 12:
        return f"after {datetime.fromtimestamp(int(reset), UTC):%H:%M:%S} UTC"
    return "later"


def seconds_to_wait(headers: Mapping[str, str], now: float) -> int:
    """Seconds until it may be asked again, as the answer says it; 0 where it does not. now: in Unix
    seconds.
    """
    named = {name.lower(): value for name, value in headers.items()}
    seconds, reset = named.get("retry-after", ""), named.get("x-ratelimit-reset", "")
    if seconds.isdecimal() and len(seconds) < 12:
        return int(seconds)
    if named.get("x-ratelimit-remaining") == "0" and reset.isdecimal() and len(reset) < 12:
        return max(0, math.ceil(int(reset) - now))
    return 0


def is_path(path: str) -> bool:
    """Whether it is a file's path in a repository, in the one way that GitHub writes it, on one
    line.
    """
    return not {"", ".", ".."} & set(path.split("/")) and not _NO_LINE.search(path)


def title_of(text: str) -> str:
    """A pull request's title. Of one that is too long the middle is left out: names of models are
    long, and what they end with tells them apart.
    """
    if len(text) <= LONGEST_TITLE:
        return text
    begin = LONGEST_TITLE // 4
    return f"{text[:begin]}…{text[begin + 1 - LONGEST_TITLE :]}"


def branch_name(folder: str, name: str, model: str, rest: str) -> str:
    """FOLDER/NAME-MODEL-REST as Git takes it, whatever the model is called; rest: what tells it
    from all others.
    """
    text = f"{folder}/{name}-{model[:LONGEST_MODEL]}-{rest}"
    return re.sub(r"\.{2,}", ".", re.sub(r"[^\w./-]+", "-", text, flags=re.ASCII))
