"""What an estimator's type arguments say: its distributions, and whether it needs a bound."""

from typing import Any, Generic, TypeVar

import jax.numpy as jnp
import pytest

from estimators import (
    Bernoulli,
    Categorical,
    Distribution,
    Estimator,
    ImportanceBound,
    Normal,
    Objective,
    fact,
    pytree,
)

D = TypeVar("D", bound=Distribution)
F = TypeVar("F", bound=Objective)
Discrete = TypeVar("Discrete", Bernoulli, Categorical)
Bits = TypeVar("Bits", bound=Bernoulli)
Bound = TypeVar("Bound", bound=ImportanceBound)
Other = TypeVar("Other")


class Generalised(Estimator[D, F]):
    pass


class OfBound(Estimator[D, ImportanceBound], Generic[Other, D]):
    """Its variables are not in the order of the estimator's."""


class OrBits(Estimator[Bernoulli | D, F]):
    pass


class Computed(Estimator[D, Objective]):
    needs_bound = fact(lambda self: True)


class OwnBound(ImportanceBound):
    pass


@pytest.mark.parametrize(
    ("base", "distributions", "needs_bound"),
    [
        (Generalised, (Distribution,), False),
        (Generalised[Bernoulli, Objective], (Bernoulli,), False),
        (Generalised[Bernoulli | Categorical, ImportanceBound], (Bernoulli, Categorical), True),
        (Generalised[Bits, Bound], (Bernoulli,), True),
        (Generalised[Discrete, F], (Bernoulli, Categorical), False),
        (OfBound, (Distribution,), True),
        (OfBound[int, Normal], (Normal,), True),
        (OrBits[Normal, Objective], (Bernoulli, Normal), False),
        (Estimator[Bernoulli, Objective | ImportanceBound], (Bernoulli,), False),
        (Estimator[Bernoulli, OwnBound], (Bernoulli,), True),
        (Estimator[Bernoulli, ImportanceBound | OwnBound], (Bernoulli,), True),
        (Estimator[Other, F], (Distribution,), False),
        (Estimator[Any, Any], (Distribution,), False),
    ],
    ids=str,
)
def test_type_arguments(base, distributions, needs_bound):
    class Mine(base):
        pass

    class Further(Mine):
        pass

    for cls in (Mine, Further):
        assert (cls.distributions, cls.needs_bound) == (distributions, needs_bound)


def test_type_arguments_that_come_in_two_steps():
    class Half(Generalised[D, ImportanceBound]):
        pass

    class Whole(Half[Categorical]):
        pass

    assert Half.needs_bound and Whole.needs_bound
    assert Half.distributions == (Distribution,) and Whole.distributions == (Categorical,)


def test_what_is_stated_holds_against_the_type_arguments():
    class Stated(Generalised[Bernoulli, Objective]):
        distributions = (Normal,)
        needs_bound = True

    @pytree
    class Bits(Computed[Bernoulli]):
        def estimate(self, key, distribution, f):
            return jnp.zeros(())

    assert Stated.distributions == (Normal,) and Stated.needs_bound
    assert Bits.distributions == (Bernoulli,) and Bits().needs_bound


@pytest.mark.parametrize("base", [Estimator, Generalised])
@pytest.mark.parametrize("arguments", [("Bernoulli", Objective), (Bernoulli, "ImportanceBound")])
def test_type_arguments_that_are_strings_are_refused(base, arguments):
    with pytest.raises(TypeError, match="Mine: type arguments of Estimator cannot be strings"):

        class Mine(base[arguments]):
            pass
