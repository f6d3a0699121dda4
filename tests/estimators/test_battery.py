"""The contract battery: every estimator of the library, on every distribution that it takes.

It finds the estimators by itself, so a new one needs no edit. Where an item does not apply, the
skip prints the fact that says so.
"""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import estimators
from estimators import (
    BIBLIOGRAPHY,
    Bernoulli,
    Categorical,
    Distribution,
    Estimator,
    MuProp,
    ScoreFunction,
)
from tests.estimators.helpers import checks
from tests.estimators.helpers.examples import EXAMPLES, is_first, parameter, parameters
from tests.estimators.helpers.problems import BOUNDS, MIXED, MORE_NESTED, NESTED, PROBLEMS
from tests.estimators.helpers.sampling import COUNT, forget

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    estimator: Estimator
    problem: object

    def __str__(self):
        return f"{self.estimator} on {self.problem}"


CASES = [
    Case(example, problem)
    for example in EXAMPLES
    for distribution, problem in (BOUNDS if example.needs_bound else PROBLEMS).items()
    if issubclass(distribution, example.distributions)
]


def cases(is_slow):
    """Return the cases as parameters: the tests of one share a worker, and so what it compiles."""
    for case in CASES:
        yield parameter(
            case.estimator,
            case,
            name=str(case),
            slow=is_slow(case),
            marks=[pytest.mark.xdist_group(str(case))],
        )


def on_first_distribution(case):
    return isinstance(case.problem.layer(0), case.estimator.distributions[:1])


# Scoped so that the tests of one case follow each other.
@pytest.fixture(scope="module", params=cases(lambda case: not is_first(case.estimator)))
def case(request):
    yield request.param.estimator, request.param.problem
    forget()


@pytest.fixture(
    scope="module",
    params=cases(lambda case: not (is_first(case.estimator) and on_first_distribution(case))),
)
def first_case(request):
    return request.param.estimator, request.param.problem


@pytest.fixture(params=parameters())
def first_example(request):
    return request.param


@pytest.fixture(params=EXAMPLES, ids=str)
def example(request):
    return request.param


def test_mean(case):
    checks.check_mean(*case)


def test_value(first_case):
    checks.check_value(*first_case)


def test_finite(case):
    checks.check_finite(*case)


def test_transforms(first_case):
    checks.check_transforms(*first_case)


@pytest.mark.slow
def test_without_jit(first_case):
    checks.check_without_jit(*first_case)


def test_compiles_once(first_case):
    checks.check_compiles_once(*first_case)


def test_dtypes(first_case):
    checks.check_dtypes(*first_case)


def test_evaluations(first_case):
    checks.check_evaluations(*first_case)


def test_black_box(first_case):
    checks.check_black_box(*first_case)


@pytest.mark.parametrize("distribution", PROBLEMS, ids=lambda cls: cls.__name__)
def test_refuses_other_distributions(example, distribution):
    """What is not in `distributions` raises, and names what is."""
    taken = issubclass(distribution, example.distributions)
    example = checks.prepared(example, PROBLEMS[distribution])
    assert (example.refusal(PROBLEMS[distribution].layer(0)) is None) == taken
    if not taken:
        allowed = ".*".join(cls.__name__ for cls in example.distributions)
        with pytest.raises(TypeError, match=f"takes {allowed}.* not {distribution.__name__}"):
            example(jax.random.key(0), PROBLEMS[distribution].layer(0), jnp.sum)


def test_one_bit(first_example):
    if Bernoulli not in first_example.distributions:
        pytest.skip("distributions: no Bernoulli")
    if first_example.unbiased != "yes":
        pytest.skip(f"unbiased: {first_example.unbiased}")
    if first_example.needs_bound:
        pytest.skip("needs_bound: one bit has none")
    checks.check_one_bit(first_example)


@pytest.mark.parametrize("distribution", [Bernoulli, Categorical], ids=lambda cls: cls.__name__)
def test_relaxation(first_example, distribution):
    """Its gradient would be biased at any temperature if f were evaluated at hard samples."""
    if not checks.has_temperature(first_example):
        pytest.skip("hyperparameters: no temperature")
    if not issubclass(distribution, first_example.distributions):
        pytest.skip("distributions: not this one")
    first_example = checks.prepared(first_example, PROBLEMS[distribution])
    if checks.evaluates_at_samples(first_example, PROBLEMS[distribution].layer(0)):
        pytest.skip("evaluates f at hard samples: falling temperature does not remove its bias")
    checks.check_relaxation(first_example, distribution)


def test_sweep(first_case):
    if not jax.tree.leaves(first_case[0]):
        pytest.skip("no leaf to vary")
    checks.check_sweep(*first_case)


def test_name(example):
    checks.check_name(example)


@pytest.fixture
def afterwards_forget():
    yield
    forget()


def nested_in_itself(example, problem, count=COUNT):
    if example.needs_bound:
        pytest.skip("needs_bound: not linear in f, so several layers are one path per sample")
    if refusals := [r for i in (0, 1) if (r := example.refusal(problem.layer(i)))]:
        pytest.skip(refusals[0])
    checks.check_nested((example, example), problem, count=count)


@pytest.mark.first_cases(6)
@pytest.mark.usefixtures("afterwards_forget")
@pytest.mark.parametrize("cls", estimators.ALL)
def test_nested_in_itself(cls):
    """On the first problem that it takes; the slow test below has the others."""
    example = cls.examples()[0]
    problems = (*NESTED, *MORE_NESTED)
    taken = [p for p in problems if not any(example.refusal(p.layer(i)) for i in (0, 1))]
    nested_in_itself(example, (taken or problems)[0])


@pytest.mark.slow
@pytest.mark.usefixtures("afterwards_forget")
@pytest.mark.parametrize("problem", (*NESTED, *MORE_NESTED), ids=str)
def test_nested_in_itself_with_many_samples(example, problem):
    """Every variant, on more distributions, with a million samples."""
    nested_in_itself(example, problem, 8 * COUNT)


@pytest.mark.usefixtures("afterwards_forget")
@pytest.mark.slow
@pytest.mark.parametrize("place", ["over", "under"])
@pytest.mark.parametrize("cls", estimators.ALL)
def test_nested_with_another(cls, place):
    """Over and under another class: the score function, which takes every distribution.

    MuProp for the score function itself.
    """
    example = cls.examples()[0]
    if example.needs_bound:
        pytest.skip("needs_bound: not linear in f, so several layers are one path per sample")
    other = MuProp() if cls is ScoreFunction else ScoreFunction()
    operators = (example, other) if place == "over" else (other, example)
    problem = next(
        problem
        for problem in (*MIXED, *NESTED, *MORE_NESTED)
        if not any(operator.refusal(problem.layer(i)) for i, operator in enumerate(operators))
    )
    checks.check_nested(operators, problem)


@pytest.mark.slow
def test_mean_of_many_samples(case):
    """The same test, with four times the power."""
    if case[0].unbiased == "no":
        pytest.skip("unbiased: no, which fewer samples show")
    checks.check_mean(*case, count=16 * COUNT)


def test_facts(example):
    """What tables print of it."""
    assert not example.paper or example.paper in BIBLIOGRAPHY
    assert all(issubclass(cls, Distribution) for cls in example.distributions)
    assert example.unbiased in ("yes", "no", "up to scale")
    bools = "differentiates", "enumerates", "needs_bound", "relaxes", "exact_law"
    for fact in (getattr(example, name) for name in bools):
        assert isinstance(fact, bool)
    assert not example.relaxes or example.differentiates
