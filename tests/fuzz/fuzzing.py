"""Running commands in this process for a fuzz: how each ended, and whether that is a fault."""

import argparse
import contextlib
import io
import random
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


_TIMERS = {signal.ITIMER_PROF: signal.SIGPROF, signal.ITIMER_REAL: signal.SIGALRM}
_WAITING = 20
"""Seconds of waiting that a second of work may take: on a loaded machine; more is a hang."""


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise `TooLong` where the block takes more processor time, or hangs."""

    def stop(*_):
        raise TooLong

    before = {number: signal.signal(number, stop) for number in _TIMERS.values()}
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WAITING * seconds)
    try:
        yield
    finally:
        for timer, number in _TIMERS.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def options(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of how many cases a fuzz runs, and of what seed."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    return parser


def run(arguments: Sequence[str], seconds: float = 240.0) -> Ended:
    """Run a command; a status other than 0 and 2, a traceback or a second line are faults."""
    out, err, status, fault = io.StringIO(), io.StringIO(), None, ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), limit(seconds):
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                status = main([*map(str, arguments)])
    except TooLong:
        fault = f"no end after {seconds:g} s of work"
    except SystemExit as exit:
        status = exit.code if isinstance(exit.code, int) else 1
    except BaseException as error:
        fault = f"{type(error).__name__}: {error}"
    said = err.getvalue()
    if not fault and status not in (0, 2):
        fault = f"status {status}: {said[-500:]}"
    if not fault and "Traceback" in said + out.getvalue():
        fault = f"a traceback: {said[-500:]}"
    last = said.splitlines()[-1:]
    if not fault and status == 2 and not (last and last[0].startswith("estimax: ")):
        fault = f"no line says why: {said[-500:]}"
    return Ended(status, out.getvalue(), said, fault)
