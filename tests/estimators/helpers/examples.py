"""The library's examples as test parameters: every class in its default variants."""

import pytest

import estimators

EXAMPLES = [example for cls in estimators.ALL for example in cls.examples()]
FIRST = [cls.examples()[0] for cls in estimators.ALL]


def is_first(example):
    """Return whether an example is its class's first; what others share with it is a slow test."""
    return any(str(example) == str(first) for first in FIRST)


def parameter(example, *values, slow=None, name=None, marks=()):
    """Return `values`, or the example itself, as a parameter; further variants are slow."""
    slow = not is_first(example) if slow is None else slow
    marks = [*marks, *([pytest.mark.slow] if slow else [])]
    return pytest.param(*(values or (example,)), marks=marks, id=name or str(example))


def parameters(examples=EXAMPLES):
    """Return examples as parameters, further variants of a class slow."""
    return [parameter(example) for example in examples]
