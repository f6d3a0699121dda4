"""Every field of every estimator, part, problem, optimiser and schedule holds its declared type."""

import dataclasses
import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jax
import numpy as np
import pytest

import estimators
from estimators import MLP, NVIL, GroupMean, LeaveOneOut, MovingAverage, naming
from experiments import optimisers, problems
from experiments.problems.toy import Quadratic, SharedLogit
from experiments.training import schedules
from tests.estimators.helpers.examples import EXAMPLES

VALUES = [
    *EXAMPLES,
    *(MovingAverage(0.9), LeaveOneOut(2), GroupMean(2), NVIL(), MLP()),
    *(cls() for cls in problems.ALL),
    *(cls() for cls in optimisers.ALL),
    *(schedules.Exponential(), schedules.Linear(1.0, 5.0, 10), schedules.Cosine(1.0, 0.5, 10)),
    *(schedules.Geometric(1.0, 0.1, 10), schedules.WarmupCosine()),
]
HUGE = pytest.param("9" * 400, id="400 digits")
KNOWN = {type(value).__name__: type(value) for value in VALUES}


def settable(value):
    return [f.name for f in dataclasses.fields(value) if not f.metadata.get("learned")]


FIELDS = [pytest.param(x, name, id=f"{x}.{name}") for x in VALUES for name in settable(x)]


def written(value, name, word):
    """Return the identity with every field in it, one changed."""
    words = {name: getattr(value, name) for name in settable(value)}
    words = {k: np.asarray(v)[()] if isinstance(v, jax.Array) else v for k, v in words.items()}
    given = ",".join(f"{k}={v}" for k, v in (words | {name: word}).items() if str(v))
    return f"{type(value).__name__}[{given}]"


def test_every_class_is_here():
    parts = *estimators.ALL, *estimators.PARTS
    assert {*parts, *problems.ALL, *optimisers.ALL, *schedules.ALL} == {*map(type, VALUES)}


@pytest.mark.parametrize(("value", "name"), FIELDS)
def test_integers_are_the_numbers_that_they_equal(value, name):
    known = 0
    for whole in (0, 1, 2):
        first = dataclasses.replace(value, **{name: float(whole)})
        try:
            first.check()
        except (ValueError, TypeError):
            continue
        known += 1
        second = dataclasses.replace(value, **{name: whole})
        second.check()
        assert str(first) == str(second)
        assert jax.tree.structure(first) == jax.tree.structure(second)
        read = naming.parse(written(value, name, whole), KNOWN)
        assert str(read) == str(first)
        for one in (second, read, naming.parse(str(first), KNOWN)):
            found = getattr(one, name)
            assert type(found) is type(getattr(first, name))
            assert getattr(found, "dtype", None) == getattr(getattr(first, name), "dtype", None)
    assert known or not is_number(value, name)


def is_number(value, name):
    hint = get_type_hints(type(value))[name]
    return hint is float or (hint is Any and isinstance(getattr(value, name), jax.Array))


def kinds(hint):
    if get_origin(hint) in (Union, types.UnionType):
        return [kind for part in get_args(hint) for kind in kinds(part)]
    return [hint]


def conforms(found, kind):
    if get_origin(kind) is Literal:
        return any(found is choice or found == choice for choice in get_args(kind))
    if kind is Any:
        return found is None or (isinstance(found, jax.Array) and found.dtype == np.float32)
    return type(found) is kind or (kind not in (int, float, bool) and isinstance(found, kind))


@pytest.mark.parametrize(("value", "name"), FIELDS)
@pytest.mark.parametrize("word", ["0", "1", "2.0", "nan", "inf", "True", "None", "word", HUGE])
def test_what_is_read_has_the_declared_type(value, name, word):
    try:
        read = naming.parse(written(value, name, word), KNOWN)
    except ValueError as error:
        assert name in str(error)
        return
    hint = get_type_hints(type(value))[name]
    assert any(conforms(getattr(read, name), kind) for kind in kinds(hint))
    assert str(naming.parse(str(read), KNOWN)) == str(read)
    assert word != "nan" and (word != "inf" or default(value, name) == float("inf"))


def default(value, name):
    return next(field.default for field in dataclasses.fields(value) if field.name == name)


@pytest.mark.parametrize(("value", "name"), FIELDS)
def test_true_and_false_are_no_numbers_nor_numbers_true_and_false(value, name):
    is_flag = get_type_hints(type(value))[name] is bool
    for other in (1, 0, 1.0, "True") if is_flag else (True, False, np.True_):
        with pytest.raises((ValueError, TypeError), match=f"(?i){re.escape(name)}"):
            dataclasses.replace(value, **{name: other}).check()


def test_the_flags_of_numpy_are_taken():
    assert str(NVIL(normalise=np.True_)) == str(NVIL(normalise=True))
    assert str(LeaveOneOut(np.int64(3))) == str(LeaveOneOut(3))


@pytest.mark.parametrize("problem", [SharedLogit(-4), Quadratic(logit=1), Quadratic(target=1)])
def test_problems_of_integers_run(problem):
    @jax.jit
    def gradient(key):
        return jax.grad(problem.exact_loss)(problem.initial(key), None)

    assert np.isfinite(gradient(jax.random.key(0))["logits"]).all()
