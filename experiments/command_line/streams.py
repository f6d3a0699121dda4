"""Standard output and error that survive a closed pipe and a limited encoding."""

import codecs
import contextlib
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

from experiments.system.errors import UsageError

_PLAIN = {"µ": "u", "±": "+/-", "×": "x", "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">="}


def _degrade(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(sign: str) -> str:
    if sign in _PLAIN:
        return _PLAIN[sign]
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return letters or "?"


codecs.register_error("estimax.degrade", _degrade)


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


class _Stream:
    """A text stream that discards text once the underlying stream fails."""

    def __init__(self, stream: Any, *, must_arrive: bool):
        self._stream, self._must_arrive = stream, must_arrive

    def write(self, text: str) -> int:
        with self._surviving():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._surviving():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._silence()
            # A closed pipe is not an error; a full disk is.
            if self._must_arrive and not isinstance(error, BrokenPipeError):
                raise UsageError(f"standard output cannot be written: {error.strerror}") from error

    def _silence(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # for text that Python still buffers
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        self._stream = _Nowhere()


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Make printing in this block robust.

    Characters missing from the encoding are replaced (`µs` by `us`). Once the reader has closed the
    pipe, output is discarded. Printing to the error stream never raises.

    Raises:
        UsageError: if standard output cannot be written, as on a full disk.
    """
    given = sys.stdout, sys.stderr
    before = [_degrading(stream) for stream in given]
    out, err = (_Nowhere() if stream is None else stream for stream in given)  # None: closed
    sys.stdout, sys.stderr = _Stream(out, must_arrive=True), _Stream(err, must_arrive=False)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = given
        for stream, errors in zip(given, before, strict=True):
            if isinstance(stream, io.TextIOWrapper) and not stream.closed:
                with contextlib.suppress(OSError):  # it flushes
                    stream.reconfigure(errors=errors)


def _degrading(stream: Any) -> str | None:
    if not isinstance(stream, io.TextIOWrapper):
        return None
    errors = stream.errors
    stream.reconfigure(errors="estimax.degrade")
    return errors
