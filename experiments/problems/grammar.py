"""The grammar of Kusner and Hernandez-Lobato 2016: S -> x | S+S | S-S | S*S | S/S."""

import functools
import itertools

import numpy as np

ALPHABET = "x+-*/ "
"""The characters; a sentence is padded with blanks."""

_OPERATORS = "+-*/"
_LEGAL = {"x" + one for one in (*_OPERATORS, " ")} | {one + "x" for one in _OPERATORS} | {"  "}


@functools.cache
def sentences(length: int) -> tuple[str, ...]:
    """Return the sentences of at most `length` characters, padded to it, shortest first.

    The language is regular, an x followed by pairs of an operator and an x: 4^k sentences have k
    operators.
    """
    found = []
    for count in range((length + 1) // 2):
        for chosen in itertools.product(_OPERATORS, repeat=count):
            found.append("".join(("x", *(one + "x" for one in chosen))).ljust(length))
    return tuple(found)


@functools.cache
def law(length: int) -> np.ndarray:
    """Return the probabilities of the sentences: uniform numbers of operators, uniform operators.

    The paper does not say how its sentences were drawn; this law is ours.
    """
    counts = np.array([len(one.rstrip()) // 2 for one in sentences(length)])
    return 1 / (4.0**counts * (1 + counts.max()))


def encoded(strings: tuple[str, ...]) -> np.ndarray:
    """Return strings of one length as classes `[N, length]`, the places in the alphabet."""
    return np.array([[ALPHABET.index(one) for one in string] for string in strings], np.int32)


def decoded(classes: np.ndarray) -> list[str]:
    """Return classes `[N, length]` as strings."""
    return ["".join(ALPHABET[one] for one in row) for row in np.asarray(classes)]


@functools.cache
def legal_pairs() -> np.ndarray:
    """Return `[7, 6]`: whether a character may follow another, or, in the last row, be the first.

    Only blanks follow a blank.
    """
    table = [[first + second in _LEGAL for second in ALPHABET] for first in ALPHABET]
    return np.array([*table, [one == "x" for one in ALPHABET]])
