"""Entry: runs a command and turns how it ended into an exit code."""

import os
import sys
import traceback

import typer
from typer.exceptions import TyperException

from rollout_cli.exit_codes import Exit, Failure


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    try:
        # Deferred: what fails while it is imported is told like any other failure.
        from rollout_cli.app import app  # noqa: PLC0415

        code = app(arguments, prog_name="kubectl-modelrollout", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as wrong:
        # Their text alone does not name the option.
        if told := wrong.format_message():
            print(
                f"Error: {told}\nSee `kubectl modelrollout --help`, and --help after a command.",
                file=sys.stderr,
            )
        return Exit.USAGE
    except Failure as failure:
        print(f"Error: {failure}", file=sys.stderr)
        return failure.code
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # `… | head` has read enough. Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PROMOTED
    except Exception:  # an exit code of 1 would say that the rollout was rolled back
        traceback.print_exc()
        print(
            "This is a defect of kubectl-modelrollout: please report it with the lines above.",
            file=sys.stderr,
        )
        return Exit.DEFECT
    return int(code or 0)


if __name__ == "__main__":
    main()
