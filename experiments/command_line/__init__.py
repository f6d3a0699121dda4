"""The command `estimax`: it reads the arguments, runs a study, prints and draws its results."""

from collections.abc import Sequence

from experiments.command_line import exit_status
from experiments.system import signals
from experiments.system.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; `exit_status` lists them."""

    def run() -> None:
        try:
            from experiments.command_line import parser  # here, so that errors are reported
        except ValueError as error:
            if "environment" in str(error):  # JAX reads its environment variables when imported
                raise UsageError(f"JAX failed to start: {error}") from error
            raise
        parser.run(arguments)

    if arguments is not None:
        return exit_status.guarded(run)
    with signals.handled(signals.end_at_once):  # importing takes seconds
        return exit_status.guarded(run)
