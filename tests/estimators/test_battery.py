"""The contract battery: every estimator that the library lists, on every distribution that it takes.

Nothing here names an estimator, so a new one needs no edit. Where an item does not apply, the skip
prints the fact that says so.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import BIBLIOGRAPHY, Discrete, Distribution, Estimator, MuProp, ScoreFunction
from tests.estimators import checks
from tests.estimators.problems import NESTED, ONE_BIT, PROBLEMS

pytestmark = pytest.mark.usefixtures("strict_dtypes")

EXAMPLES = [example for cls in estimators.ALL for example in cls.examples()]


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    estimator: Estimator
    problem: object

    def __str__(self):
        return f"{self.estimator} on {self.problem}"


CASES = [
    Case(example, problem)
    for example in EXAMPLES
    for distribution, problem in PROBLEMS.items()
    if issubclass(distribution, example.distributions)
]


# Scoped so that the tests of one case follow each other and share what they compile.
@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request):
    return request.param.estimator, request.param.problem


@pytest.fixture(params=EXAMPLES, ids=str)
def example(request):
    return request.param


def first_problem(estimator):
    return PROBLEMS[estimator.distributions[0]]


def test_mean(case):
    checks.check_mean(*case)


def test_value(case):
    checks.check_value(*case)


def test_finite(case):
    checks.check_finite(*case)


def test_transforms(case):
    checks.check_transforms(*case)


def test_compiles_once(case):
    checks.check_compiles_once(*case)


def test_dtypes(case):
    checks.check_dtypes(*case)


def test_evaluations(case):
    checks.check_evaluations(*case)


def test_black_box(case):
    checks.check_black_box(*case)
