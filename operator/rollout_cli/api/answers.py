"""What an API server's answer says, whoever carried it here. Pure."""

import json

from rollout_cli.api.kubernetes import Object
from rollout_cli.exit_codes import Absent, Failure, Refused, Unreachable


def read_answer(status: int, raw: bytes, path: str) -> Object:
    """The object of an answer. Raises Absent (404), Refused (other 4xx) or Unreachable, which know
    the status.
    """
    try:
        answer: Object = json.loads(raw)
    except ValueError as failure:
        if status == 404:
            # Plain text is what an API that is not installed answers.
            raise _of(Absent(f"The cluster has no {path}."), status) from failure
        raise Unreachable(
            f"The cluster answered HTTP {status} with something else than JSON; is it a"
            " Kubernetes API?"
        ) from failure
    if status < 300:
        return answer
    raise failure_of(status, str(answer.get("message") or f"HTTP {status}"))


def failure_of(status: int, message: str) -> Failure:
    """The error that an HTTP status of the API server is, with what it said."""
    match status:
        case 404:
            return _of(Absent(message), status)
        case 401:
            return _of(
                Refused(
                    f"The cluster does not know you: {message}. Log in again, or choose another"
                    " --context."
                ),
                status,
            )
        case 403:
            return _of(Refused(f"You may not do that: {message}"), status)
    kind = Refused if status < 500 else Unreachable
    return _of(kind(f"The cluster answered HTTP {status}: {message}"), status)


def _of(failure: Failure, status: int) -> Failure:
    failure.status = status
    return failure
