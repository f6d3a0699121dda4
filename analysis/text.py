"""Text that others wrote, such as names in their results, made fit to be shown."""

from urllib.parse import urlsplit


def printable(text: str) -> str:
    r"""Return text in one line without control characters: each is escaped, as `\x1b`.

    So are line ends, spaces of other kinds, and what turns the direction of writing.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def https(link: object) -> str | None:
    """Return a link to a web page over https; None for whatever else was given as one."""
    if not isinstance(link, str) or not link.isprintable() or set(link) & set(' "<>\\^`{|}'):
        return None
    try:
        parts = urlsplit(link)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    # A name before the host could pass for it: https://arxiv.org@example.com.
    return link if parts.scheme == "https" and host and "@" not in parts.netloc else None
