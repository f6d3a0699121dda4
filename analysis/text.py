"""Texts: escaping of untrusted ones and of links, and lists of names."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_MOST_NAMES = 8


def printable(text: str) -> str:
    r"""Return text in one line, with control characters escaped, as in `\x1b`.

    Line breaks, unusual spaces and bidirectional marks are also escaped.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def unaligned(line: str) -> str:
    """Return a line of aligned columns for a font that does not align them: `first: the others`.

    Without the colon if the first column has one.
    """
    first, *others = re.split(r"\s{2,}", line.strip())
    return " ".join([first + ":" * (bool(others) and ":" not in first), *others])


def https(link: object) -> str | None:
    """Return a link if it is a valid https URL, else None."""
    if not isinstance(link, str) or not link.isprintable() or set(link) & set(' "<>\\^`{|}'):
        return None
    try:
        parts = urlsplit(link)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    # A user name could be mistaken for the host: https://arxiv.org@example.com.
    return link if parts.scheme == "https" and host and "@" not in parts.netloc else None


def listed(names: Iterable[str]) -> str:
    """Return the first names, separated by commas, and the number of the others."""
    names = list(names)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
