"""Parsing of estimator names such as `GumbelSoftmax[temperature=0.5]`."""

import re

import pandas as pd


def short_names(rows: pd.DataFrame, column: str = "estimator") -> dict[str, str]:
    """Return the short form of every name in a column: `GumbelSoftmax[0.5]`.

    Tables and figures show short names; data keep the canonical ones. A name stays as it is if the
    rows have no short form of it, or if two estimators of the rows would share one.

    Args:
        rows: the tidy table; the short forms are in `short_name`, or in `measured_short_name` of
            the column `measured`.
        column: "estimator" or "measured".
    """
    short = "short_name" if column == "estimator" else f"{column}_short_name"
    names = rows.drop_duplicates(column).set_index(column)
    found = names[short] if short in names else pd.Series(index=names.index, dtype=object)
    found = found.where(found.notna() & (found != ""), names.index.to_series())
    unique = ~found.duplicated(keep=False)
    return dict(found.where(unique, names.index.to_series()))


def without(field: str, identity: str) -> str:
    """Return an identity without one of its top-level fields."""
    head, bracket, body = identity.partition("[")
    if not bracket or not body.endswith("]"):
        return identity
    kept = [item for item in _fields(body[:-1]) if item.partition("=")[0].strip() != field]
    return f"{head}[{','.join(kept)}]" if kept else head


def _fields(body: str) -> list[str]:
    """Split at top-level commas."""
    depth, items = 0, [""]
    for character in body:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return items


def natural(identity: str) -> list[tuple[int, float | str]]:
    """Return a sort key that orders numbers by value: `k=2` before `k=10`."""
    pieces = re.split(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", identity)
    return [(0, float(p)) if i % 2 else (1, p) for i, p in enumerate(pieces)]


def wrap(identity: str, width: int) -> list[str]:
    """Break an identity into lines of at most `width`, after `[` and `,`, or also after `=`.

    Longer words are broken. All lines except the first are indented.
    """
    ways = (r"[\[,]", r"[\[,=]")
    return min((_fill(re.split(f"(?<={after})", identity), width) for after in ways), key=len)


def _fill(pieces: list[str], width: int) -> list[str]:
    lines = [""]
    for piece in pieces:
        if lines[-1].strip() and len(lines[-1]) + len(piece) > width:
            lines.append("  ")
        while len(lines[-1]) + len(piece) > width:
            room = width - len(lines[-1])
            lines[-1], piece = lines[-1] + piece[:room], piece[room:]
            lines.append("  ")
        lines[-1] += piece
    return lines
