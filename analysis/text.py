"""Escaping of untrusted text and links."""

from urllib.parse import urlsplit


def printable(text: str) -> str:
    r"""Return text in one line, with control characters escaped, as in `\x1b`.

    Line breaks, unusual spaces and bidirectional marks are also escaped.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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
