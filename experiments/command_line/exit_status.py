"""The exit status of a command, and the one-line report of an error.

| status | meaning |
| --- | --- |
| 0 | success |
| 1 | `diff`: the results differ |
| 2 | bad input, or beyond the limits of the machine; one line says what |
| 70 | a bug in estimax; one line names the file that holds the traceback |
| 130 | interrupted |
| 143 | terminated, as by a cluster; handled as an interrupt |
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable

from experiments.command_line import streams
from experiments.system.errors import UsageError
from experiments.system.signals import Interrupted
from experiments.system.text import described, one_line

_DEFECT = 70  # EX_SOFTWARE of sysexits.h


def guarded(run: Callable[[], int]) -> int:
    """Run a command and return its exit status, which `run` returns if nothing fails.

    Raises:
        SystemExit: from `--help`.
    """
    with streams.lasting():
        try:
            try:
                return run()
            finally:
                sys.stdout.flush()
        except Interrupted as error:
            return ended(error.status, str(error))
        except KeyboardInterrupt:
            return ended(130, "interrupted; finished parts are kept")
        except BaseException as error:
            status, line = judged(error)
            return ended(status, line)


def ended(status: int, line: str) -> int:
    """Print the last line of a command that failed; return its exit status."""
    print(f"estimax: {one_line(line)}", file=sys.stderr, flush=True)
    return status


def judged(error: BaseException) -> tuple[int, str]:
    """Return the status and the line for an error."""
    if isinstance(error, UsageError):
        return 2, str(error)
    if line := _blamed(error):
        return 2, line
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in described(error):
        return 2, f"not enough memory ({described(error)})"
    if isinstance(error, OSError) and error.errno is not None:
        place = error.filename if error.filename is not None else "the system"
        return 2, f"{os.fsdecode(place)}: {error.strerror}"
    return _DEFECT, _reported(error)


def _blamed(error: BaseException) -> str | None:
    module = sys.modules.get("experiments.running.user_code")  # which imports the user's files
    return module.blame(error) if module else None


def _reported(error: BaseException) -> str:
    """Write the traceback to a file; return the line that names it."""
    found = traceback.extract_tb(error.__traceback__)
    at = f" ({found[-1].filename}, line {found[-1].lineno})" if found else ""
    line = f"a bug in estimax, {described(error)}{at}"
    text = f"{sys.argv}\n\n{''.join(traceback.format_exception(error))}"
    try:
        handle, path = tempfile.mkstemp(prefix="estimax-", suffix=".txt")
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as failed:
        return f"{line}; the traceback could not be saved: {described(failed)}"
    return f"{line}; the traceback is in {path}"
