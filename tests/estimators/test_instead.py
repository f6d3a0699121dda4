"""What to use instead of an estimator that does not take a type of distribution."""

import re

import jax
import jax.numpy as jnp
import pytest

import estimators
from estimators import (
    CARMS,
    Bernoulli,
    Categorical,
    DisARM,
    DoubleCV,
    ImportanceBound,
    LocalDisARM,
    Pathwise,
    pytree,
)

KEY = jax.random.key(0)
BITS = Bernoulli(jnp.zeros(3))
CLASSES = Categorical(jnp.zeros((3, 4)))


@pytest.mark.parametrize(
    ("estimator", "distribution", "instead"),
    [
        (
            DisARM(),
            CLASSES,
            "DisARM takes Bernoulli, not Categorical; use ARSM, CARMS or CategoricalDisARM",
        ),
        (CARMS(2), BITS, "CARMS takes Categorical, not Bernoulli; use ARM, ARMS or DisARM"),
        (
            DoubleCV(2),
            CLASSES,
            "DoubleCV takes Bernoulli, not Categorical; use MuProp, REBAR or RELAX",
        ),
        (LocalDisARM(), CLASSES, "LocalDisARM takes Bernoulli, not Categorical; use OVIS or VIMCO"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_to_use_instead_on_another_type(estimator, distribution, instead):
    f = ImportanceBound(jnp.sum) if estimator.needs_bound else jnp.sum
    with pytest.raises(TypeError, match=f"^{re.escape(instead)}$"):
        estimator(KEY, distribution, f)


def test_what_to_use_instead_fits():
    for cls in estimators.ALL:
        for distribution in (BITS, CLASSES):
            names = re.findall(r"\b[A-Z]\w+", cls.examples()[0].instead(distribution))
            others = [getattr(estimators, name).examples()[0] for name in names]
            assert all(one.refusal(distribution) is None for one in others)
            assert cls.__name__ not in names
            assert bool(names) == (not isinstance(distribution, cls.examples()[0].distributions))


def test_estimators_of_others_name_none_instead():
    @pytree
    class Own(Pathwise):
        """A user's."""

    assert Own().instead(BITS) == ""
    with pytest.raises(TypeError, match="not Bernoulli$"):
        Own()(KEY, BITS, jnp.sum)
