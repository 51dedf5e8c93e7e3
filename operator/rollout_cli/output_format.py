"""What `-o` takes, and which of it a command prints."""

from enum import StrEnum

from rollout_cli.exit_codes import WrongUsage


class Output(StrEnum):
    """What `-o` takes."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    WIDE = "wide"


def for_programs(command: str, output: Output | None) -> Output | None:
    """JSON or YAML where a program reads; None where a person does. Raises WrongUsage for what this
    command does not print.
    """
    if output in {Output.NAME, Output.WIDE}:
        raise WrongUsage(f"{command} prints no {output}: write -o json or -o yaml.")
    return output
