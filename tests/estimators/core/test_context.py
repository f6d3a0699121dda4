"""The context of f: what networks of baselines and control variates know besides the logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    MLP,
    NVIL,
    RELAX,
    Bernoulli,
    MuProp,
    ScoreFunction,
    StraightThrough,
    black_box,
    frozen,
    parse,
    with_context,
)

KEY = jax.random.key(4)
LOGITS = jnp.array([0.4, -0.8])
CONTEXT = jnp.array([[0.3, -1.2], [0.7, 2.0]])
USERS = [
    ScoreFunction(NVIL(network=MLP(8, context=4))),
    MuProp(NVIL(network=MLP(8, context=4))),
    RELAX(MLP(8, context=4)),
]


def f(z):
    return jnp.sum((z - 0.3) ** 3)


def ready(estimator):
    made = estimator.initialise(jax.random.key(5), Bernoulli(LOGITS))
    return jax.tree.map(lambda leaf: leaf + 0.2 if leaf.ndim else leaf, made)


def gradient(estimator, context):
    def loss(logits, context):
        with frozen():
            return estimator(KEY, Bernoulli(logits), with_context(f, context))

    return jax.grad(loss, (0, 1))(LOGITS, context)


@pytest.mark.parametrize("estimator", USERS, ids=str)
def test_networks_see_the_context_but_are_not_differentiated_in_it(estimator):
    own, of_context = gradient(ready(estimator), CONTEXT)
    other, _ = gradient(ready(estimator), -CONTEXT)
    assert np.abs(own - other).max() > 1e-3
    assert (of_context == 0).all()


@pytest.mark.parametrize("estimator", USERS, ids=str)
def test_a_baseline_of_the_context_leaves_the_mean_as_it_is(estimator):
    estimator, count = ready(estimator), 40_000

    def one(key):
        def loss(logits):
            with frozen():
                return estimator(key, Bernoulli(logits), with_context(f, CONTEXT))

        return jax.grad(loss)(LOGITS)

    drawn = np.float64(jax.jit(jax.vmap(one))(jax.random.split(KEY, count)))
    chance = jax.nn.sigmoid(LOGITS)
    exact = chance * (1 - chance) * (0.7**3 + 0.3**3)
    error = drawn.std(0) / np.sqrt(count)
    assert (np.abs(drawn.mean(0) - exact) <= 4 * error + 1e-6).all()


@pytest.mark.parametrize("estimator", USERS, ids=str)
def test_networks_learn_from_the_context(estimator):
    def loss(estimator, context):
        return estimator(KEY, Bernoulli(LOGITS), with_context(f, context))

    slopes = [jax.grad(loss)(ready(estimator), context) for context in (CONTEXT, -CONTEXT)]
    weights = [
        next(leaf for leaf in jax.tree.leaves(slope) if leaf.shape == (6, 8)) for slope in slopes
    ]
    assert np.abs(weights[0][2:] - weights[1][2:]).max() > 1e-4


def test_networks_without_context_ignore_it():
    estimator = ready(ScoreFunction(NVIL(network=MLP(8))))
    with frozen():
        plain = jax.grad(lambda x: estimator(KEY, Bernoulli(x), f))(LOGITS)
    np.testing.assert_array_equal(gradient(estimator, CONTEXT)[0], plain)


def test_a_missing_context_and_a_black_box_are_refused():
    with pytest.raises(ValueError, match="takes 6 inputs, 4 of them the context"):
        ready(USERS[0])(KEY, Bernoulli(LOGITS), f)
    with pytest.raises(TypeError, match="black box"):
        StraightThrough()(KEY, Bernoulli(LOGITS), with_context(black_box(f), CONTEXT))
    with pytest.raises(ValueError, match="context"):
        ScoreFunction(NVIL(network=MLP(8, context=-1)))(KEY, Bernoulli(LOGITS), f)
    with pytest.raises(ValueError, match="scalar"):
        ScoreFunction()(KEY, Bernoulli(LOGITS), with_context(lambda z: z, CONTEXT))


def test_its_name_is_parsed():
    name = str(ScoreFunction(NVIL(network=MLP(8, context=4))))
    assert str(parse(name)) == name and "context=4" in name
