"""`repr` of an estimator is Python that builds it; `str` is its name on the command line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import ALL, MLP, NVIL, RELAX, Bernoulli, GumbelSoftmax, ScoreFunction, pytree

EXAMPLES = [one for cls in ALL for one in cls.examples()]
SCOPE = {name: value for name, value in vars(estimators).items() if isinstance(value, type)}
SCOPE |= {"jnp": jnp}


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for leaf, copy in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        assert jnp.asarray(leaf).dtype == jnp.asarray(copy).dtype
        np.testing.assert_array_equal(leaf, copy)


@pytest.mark.parametrize("estimator", EXAMPLES, ids=str)
def test_repr_is_python_and_str_is_a_name(estimator):
    same(eval(repr(estimator), dict(SCOPE)), estimator)
    same(estimators.parse(str(estimator)), estimator)


def test_repr_has_learned_parameters_and_stacks():
    distribution = Bernoulli(jnp.zeros(2))
    for estimator in (ScoreFunction(NVIL(network=MLP(3))), RELAX(MLP(3), temperature=0.1)):
        learned = estimator.initialise(jax.random.key(0), distribution)
        same(eval(repr(learned), dict(SCOPE)), learned)
        assert "jnp.array([" in repr(learned)
    stack = estimators.stack([GumbelSoftmax(0.1), GumbelSoftmax(0.3)])
    assert repr(stack) == "GumbelSoftmax(temperature=jnp.array([0.1, 0.3], dtype='float32'))"


def test_repr_of_other_values():
    assert repr(GumbelSoftmax(jnp.float16(0.1))) == (
        "GumbelSoftmax(temperature=jnp.array(0.1, dtype='float16'))"
    )
    beyond = GumbelSoftmax(jnp.array(jnp.inf))
    same(eval(repr(beyond), dict(SCOPE)), beyond)
    shown = []
    jax.make_jaxpr(lambda t: shown.append(repr(GumbelSoftmax(t))))(0.5)
    assert shown[0].startswith("GumbelSoftmax(temperature=JitTracer") or "Trace" in shown[0]


def test_other_pytrees_keep_the_repr_of_dataclasses():
    @pytree
    class Pair:
        first: float
        second: str = "b"

    assert repr(Pair(1.0)).endswith("Pair(first=1.0, second='b')")
    assert dataclasses.is_dataclass(Pair)
