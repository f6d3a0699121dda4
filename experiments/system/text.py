"""Text that others wrote, such as names and other programs' errors, made fit to be shown."""

_LONGEST_WORD = 300
_LONGEST_LINE = 2000


# As in analysis.text: the command ends in a line of these whatever does not import.
def printable(text: str) -> str:
    r"""Return text without control characters: each is escaped, as `\x1b`; line ends too."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Return text in one printable line, whose words and which itself are not overlong."""
    words = [_shortened(word, _LONGEST_WORD) for word in printable(text).split(" ")]
    return _shortened(" ".join(words), _LONGEST_LINE)


def described(error: BaseException) -> str:
    """Return `Type: message` of an error in one line, whatever its message is."""
    try:
        message = " ".join(str(error).split())
    except Exception:  # of a user's own class
        message = ""
    return one_line(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    kept = longest // 3
    return f"{text[: 2 * kept]}[... {len(text) - 3 * kept:,} more ...]{text[-kept:]}"
