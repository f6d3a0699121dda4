"""The command `estimax`: reads the arguments, runs a study, prints and draws its results."""

from collections.abc import Sequence

from experiments.command_line import door
from experiments.system import signals
from experiments.system.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, which `door` explains."""
    if arguments is None:  # the process is the command's: imports take seconds
        signals.end_at_once()

    def run() -> None:
        try:
            from experiments.command_line import parser  # what fails in importing is told too
        except ValueError as error:
            if "environment" in str(error):  # JAX reads its variables as it is imported
                raise UsageError(f"JAX does not start: {error}") from error
            raise
        parser.run(arguments)

    return door.guarded(run)
