"""Running commands in this process for a fuzz: how each ended, and whether that is a fault."""

import contextlib
import io
import signal
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from experiments.command_line import main


class Ended(NamedTuple):
    """How a command ended: its status (None: it did not), what it printed, and what is wrong."""

    status: int | None
    out: str
    err: str
    fault: str


class TooLong(BaseException):
    """A command did not end."""


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise `TooLong` where the block takes longer."""

    def stop(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(arguments: Sequence[str], seconds: float = 120.0) -> Ended:
    """Run a command; a status other than 0 and 2, a traceback or a second line are faults."""
    out, err, status, fault = io.StringIO(), io.StringIO(), None, ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), limit(seconds):
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                status = main([*map(str, arguments)])
    except TooLong:
        fault = f"no end after {seconds:g} s"
    except SystemExit as exit:
        status = exit.code if isinstance(exit.code, int) else 1
    except BaseException as error:
        fault = f"{type(error).__name__}: {error}"
    said = err.getvalue()
    if not fault and status not in (0, 2):
        fault = f"status {status}: {said[-500:]}"
    if not fault and "Traceback" in said + out.getvalue():
        fault = f"a traceback: {said[-500:]}"
    if not fault and status == 2 and not said.splitlines()[-1].startswith("estimax: "):
        fault = f"no line says why: {said[-500:]}"
    return Ended(status, out.getvalue(), said, fault)
