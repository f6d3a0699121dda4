"""Signals that ask a run to end: Ctrl-C, and SIGTERM, which clusters send before they kill."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

_SIGNALS = signal.SIGINT, signal.SIGTERM

_asked = 0
_heeded = False


class Interrupted(KeyboardInterrupt):
    """A run ends since it was asked to; the message says what is kept.

    Attributes:
        number: the signal's.
        status: the exit status, 128 and that.
    """

    def __init__(self, number: int, kept: str = "what had finished is kept"):
        """Say by which signal, and what is kept."""
        super().__init__(f"interrupted; {kept}")
        self.number = number
        self.status = 128 + number


def end_at_once() -> None:
    """From now on, such a signal ends the process with one line; nothing is begun yet."""

    def end(number, _):
        # No exception: raised while modules are imported, it is lost or told in many lines.
        os.write(2, b"estimax: interrupted\n")
        os._exit(128 + number)

    for one in _SIGNALS:
        signal.signal(one, end)


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Within it, such a signal is noted and the run goes on to where it asks; a second one kills.

    An exception raised wherever Python happens to be is lost in callbacks of JAX and of the garbage
    collector.
    """
    global _asked, _heeded
    if _heeded or threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked, _heeded = 0, True
    before = [signal.signal(one, _note) for one in _SIGNALS]
    try:
        yield
    finally:
        _heeded = False
        for one, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(one, handler)


def _note(number, _) -> None:
    global _asked
    _asked = number
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_DFL)


def asked() -> int:
    """Return the number of the signal that came, 0 if none."""
    return _asked if _heeded else 0
