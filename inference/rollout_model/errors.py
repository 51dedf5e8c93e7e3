"""What can be wrong, as a sentence for the person who can put it right."""


class LoadFailed(Exception):
    """The model cannot be served; the message is one sentence for the person who rolled it out."""


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
