"""Study files in Python."""

import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from estimax.arguments import Folder
from estimax.results import Result
from experiments.command_line import run as command
from experiments.command_line import study_file, united
from experiments.command_line.study_words import OF_PROCESS
from experiments.system import device, signals
from experiments.system.errors import UsageError

Value = str | int | float | bool | Sequence[str | int | float]
"""The value of an option, as in a study file."""


def run(
    file: Folder, *, output: Folder | None = None, force: bool = False, **options: Value
) -> dict[str, Result]:
    """Run a study file: what is missing of its runs.

    The same as `estimax run`, with the same numbers.

    Args:
        file: the file.
        output: a folder, as `--output`, where a finished or interrupted run continues. By default
            nothing is kept but the results.
        force: whether to run again, and replace the results in the folder.
        options: options of the commands that win over the file, such as `samples=64`, with
            underscores for the dashes in their names.

    Returns:
        The results by the name of their table, as that of its folder on the command line.

    Raises:
        UsageError: for a bad file; or if a run fails, once the others have ended.
    """
    given = {key.replace("_", "-"): _plain(value) for key, value in options.items()}
    understood = study_file.read(Path(file), given)
    if said := [key for key in OF_PROCESS if key in understood.own]:
        raise UsageError(f"{understood.path}: {said[0]}: only `estimax run` can choose it")
    device.start("auto")  # first, since building an estimator starts JAX
    with contextlib.ExitStack() as stack:
        if output is None:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="estimax-")))
        else:
            root = Path(output)
        stack.enter_context(signals.deferred())
        silent = not sys.stderr.isatty()
        done, failure = command.completed(understood, root, force=force, silent=silent)
        if failure:
            raise UsageError(failure[1])
        return {
            name: Result(
                united.write(runs, root / name)[0], None if output is None else root / name
            )
            for name, runs in united.tables(done).items()
        }


def _plain(value: Value) -> str | int | float | bool | list[str | int | float]:
    return value if isinstance(value, str | int | float) else list(value)
