"""What a reply that is no answer says, so that a sentence can hold it."""

import re

_TAG = re.compile(r"<(script|style|title)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
LONGEST_SAYING = 200


def first_line(body: bytes) -> str:
    """The first line with text in it, without markup and the full stop at its end, of 200
    characters at most; "" where there is none.
    """
    text = _TAG.sub(" ", body[:4096].decode(errors="replace"))
    line = next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")
    return line[:LONGEST_SAYING].rstrip(".")
