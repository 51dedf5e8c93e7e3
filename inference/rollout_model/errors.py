"""What can be wrong, as a sentence for the person who can put it right."""

from collections.abc import Iterator
from contextlib import contextmanager


class LoadFailed(Exception):
    """The model cannot be served; the message is one sentence for the person who rolled it out."""


CANNOT_SERVE = 65
"""Exit code of a process that found the files themselves to be why: EX_DATAERR of sysexits.h. The
operator knows it (controller/pod_status.py), and waits for no other pod.
"""


class CannotServe(LoadFailed):
    """The files were there, and trying again will say the same of them."""


@contextmanager
def of_the_files() -> Iterator[None]:
    """A LoadFailed in here is of the model's files: raises it as CannotServe."""
    try:
        yield
    except LoadFailed as failure:
        raise CannotServe(str(failure)) from failure


class Refused(Exception):
    """A request that gets no prediction; the message says what to send instead."""

    status = 400
    """The HTTP status, 4xx or 503."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status


class BadInput(Refused):
    """The request can be read, but does not fit the model."""

    status = 422


def first_line(failure: BaseException) -> str:
    """The first line of what an exception says, at most 300 characters; its type where it says
    nothing.
    """
    text = str(failure).strip().splitlines()
    return (text[0] if text else type(failure).__name__)[:300]
