"""What is secret of one destination: files of a mounted Secret, read at every use."""

from pathlib import Path

URL, TOKEN, SIGNING_KEY = "url", "token", "signingKey"
"""The files, as the keys of the Secret are called."""


class SecretFileError(Exception):
    """A file is missing or cannot be read; the message names it, and never what is in it."""


def secret(folder: str, name: str) -> str:
    """What a file holds; raises SecretFileError where there is nothing."""
    if not (text := optional(folder, name)):
        raise SecretFileError(
            f"{folder}/{name} is missing or empty: write the key {name} into its Secret"
        )
    return text


def optional(folder: str, name: str) -> str:
    """The same, or "" where the file is missing. Raises SecretFileError."""
    try:
        return (Path(folder) / name).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as failure:
        reason = getattr(failure, "strerror", None) or "it is no UTF-8"
        raise SecretFileError(f"{folder}/{name} cannot be read: {reason}") from failure
