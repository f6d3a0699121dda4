"""Text in messages: escaping of untrusted text, and suggestions for mistyped names."""

import difflib
from collections.abc import Iterable

_LONGEST_WORD = 300
_LONGEST_LINE = 2000


# As in analysis.text, which may fail to import: errors must be printed even then.
def printable(text: str) -> str:
    r"""Return text with control characters and line ends escaped, as in `\x1b`."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def one_line(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return text in one printable line, with long words and the line itself shortened."""
    words = [_shortened(word, _LONGEST_WORD) for word in printable(text).split(" ")]
    return _shortened(" ".join(words), longest)


def described(error: BaseException) -> str:
    """Return `Type: message` of an error in one line."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # in a user's class
        message = ""
    return one_line(f"{type(error).__name__}: {message}" if message else type(error).__name__)


# As in estimators.core.identity, which imports JAX: a mistyped command is refused without it.
def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'X'?)` for the nearest known word, or an empty string.

    Case and the dashes of options are not compared.
    """
    folded = {name.lower().lstrip("-"): name for name in known}
    found = difflib.get_close_matches(word.lower().lstrip("-"), folded, 1)
    return f" (did you mean {folded[found[0]]!r}?)" if found else ""


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    kept = longest // 3
    return f"{text[: 2 * kept]}[... {len(text) - 3 * kept:,} more ...]{text[-kept:]}"
