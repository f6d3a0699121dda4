"""Signals that ask a run to end: Ctrl-C, and SIGTERM, which clusters send before they kill."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = signal.SIGINT, signal.SIGTERM

_received = 0
_deferred = False


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end; the message says what was kept.

    Attributes:
        number: the number of the signal.
        status: the exit status, 128 + number.
    """

    def __init__(self, number: int, kept: str = "finished parts are kept"):
        """Set the signal's number, and a description of what was kept."""
        super().__init__(f"interrupted; {kept}")
        self.number = number
        self.status = 128 + number


@contextlib.contextmanager
def handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle the signals within the block, and restore the previous handlers afterwards."""
    before = [signal.signal(one, handler) for one in _SIGNALS]
    try:
        yield
    finally:
        for one, previous in zip(_SIGNALS, before, strict=True):
            signal.signal(one, previous)


def end_at_once(number: int, frame: Any) -> None:
    """End the process with one line: the signal handler until work begins."""
    # Not an exception, which is lost or reported in many lines while modules are imported.
    os.write(2, b"estimax: interrupted\n")
    os._exit(128 + number)


def interrupt(number: int, frame: Any) -> None:
    """Raise `Interrupted`: the signal handler while no callback of a library could lose it."""
    raise Interrupted(number)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Record signals within the block, for `received` to return; a second signal kills the process.

    Exceptions would be lost if a signal arrived in callbacks of JAX or of the garbage collector.
    """
    global _received, _deferred
    if _deferred or threading.current_thread() is not threading.main_thread():
        yield
        return
    _received, _deferred = 0, True
    try:
        with handled(_record):
            yield
    finally:
        _deferred = False


def _record(number: int, frame: Any) -> None:
    global _received
    _received = number
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_DFL)


def received() -> int:
    """Return the number of the signal that was received, 0 if none was."""
    return _received if _deferred else 0
