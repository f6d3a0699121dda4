"""What differs in the metadata of two results files."""

from collections.abc import Iterator, Mapping
from typing import Any

_PARTS = ("configuration", "environment", "provenance")
_ALWAYS = frozenset({"command", "sources"})
_LONGEST = 60


def differing(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> list[str]:
    """Return one line for each setting, version or property of the machine that differs.

    Args:
        first: the metadata (`attrs`) of the results A.
        second: those of the results B.
    """
    found: dict[str, None] = {}
    for part in _PARTS:
        a, b = first.get(part) or {}, second.get(part) or {}
        if a and b:  # older files have no environment
            found |= dict.fromkeys(_lines(a, b))
    return list(found)


def _lines(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> Iterator[str]:
    for name in dict.fromkeys((*first, *second)):
        a, b = first.get(name), second.get(name)
        if name in _ALWAYS or a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _lines(a, b)
        elif isinstance(a, list) and isinstance(b, list):
            apart = (one for one in (_only(a, b, "A"), _only(b, a, "B")) if one)
            yield f"{_spaced(name)}: {'; '.join(apart) or 'in another order'}"
        else:
            yield f"{_spaced(name)}: {_shown(a)} (A), {_shown(b)} (B)"


def _only(these: list[Any], those: list[Any], side: str) -> str:
    found = [str(one) for one in these if one not in those]
    return f"only in {side}: {_shown(', '.join(found))}" if found else ""


def _spaced(name: str) -> str:
    return str(name).replace("_", " ")


def _shown(value: Any) -> str:
    text = "none" if value in (None, "") else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
