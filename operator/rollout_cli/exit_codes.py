"""Exit codes, and the errors that end a command with one of them.

0 to 3 are how a rollout ended; everything that says nothing about a rollout is 64 and above (the
numbers of BSD's sysexits.h).
"""

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code means."""

    PROMOTED = 0
    """Promoted; for commands that wait for nothing, done."""
    ROLLED_BACK = 1
    """Rolled back, halted, impossible to roll out, or promoted and stalled; for `lint` and
    `doctor`, something was found; for `feedback`, a label was refused.
    """
    TIMED_OUT = 2
    """No verdict within --timeout."""
    SUPERSEDED = 3
    """The spec asks for another model by now."""
    USAGE = 64
    """The command line is wrong."""
    ABSENT = 66
    """There is no such rollout, file or attempt."""
    UNREACHABLE = 69
    """The cluster or Prometheus did not answer."""
    DEFECT = 70
    """A defect of this program."""
    REFUSED = 77
    """The cluster refused: no permission, not logged in, or a command that cannot be carried out
    now.
    """
    INTERRUPTED = 130
    """Ctrl-C."""


class Failure(Exception):
    """Ends the command; the message is a sentence that says what to do next."""

    code = Exit.DEFECT
    status = 0
    """HTTP status of the API server's answer that it comes from; 0 where it comes from none."""


class WrongUsage(Failure):
    """The command line asks for something that cannot be."""

    code = Exit.USAGE


class Absent(Failure):
    """What was asked for is not there."""

    code = Exit.ABSENT


class Unreachable(Failure):
    """Nobody answered."""

    code = Exit.UNREACHABLE


class Refused(Failure):
    """It was understood and refused."""

    code = Exit.REFUSED
