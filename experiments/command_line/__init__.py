"""The command `estimax`: it reads the arguments, runs a study, prints and draws its results."""

import functools
import gc
import os
from collections.abc import Sequence

from experiments.command_line import exit_status, parser
from experiments.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; `exit_status` lists them."""
    run = functools.partial(parser.run, arguments)
    if arguments is not None:
        return exit_status.guarded(run)
    # Figures are only saved: no display, nor the name of a backend that matplotlib refuses.
    os.environ["MPLBACKEND"] = "agg"
    # What JAX traces is many small objects: looking for garbage among them is a tenth of the time.
    gc.set_threshold(50_000, 20, 100)
    with signals.handled(signals.end_at_once):  # importing takes seconds
        return exit_status.guarded(run)
