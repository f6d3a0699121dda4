"""An estimator in a flax nnx module: the one line of the docs, and all that follows from it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from estimators import NVIL, REBAR, Bernoulli, Categorical, GumbelSoftmax, ScoreFunction
from experiments.training import with_tuner
from tests.estimators.helpers.examples import EXAMPLES

LINE = "self.estimator = nnx.data("
X, KEYS = jnp.linspace(-1.0, 1.0, 15).reshape(5, 3), jax.random.split(jax.random.key(0), 5)


class Model(nnx.Module):
    """Four bits, or two variables of two classes, of a linear encoder."""

    def __init__(self, estimator, distribution=Bernoulli):
        self.encoder = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
        self.distribution = distribution
        self.estimator = nnx.data(estimator)

    def __call__(self, x, key):
        logits = self.encoder(x)
        logits = logits if self.distribution is Bernoulli else logits.reshape(2, 2)
        return self.estimator(key, self.distribution(logits), lambda z: jnp.sum((z - 0.3) ** 3))


@jax.jit
def loss(model, keys):
    return jax.vmap(model)(X, keys).mean()


def ready(estimator):
    return estimator.initialise(jax.random.key(1), Bernoulli(jnp.zeros(4)))


def test_the_page_has_the_line():
    page = (Path(__file__).parents[3] / "docs/own_loop.md").read_text()
    assert LINE in page and LINE in Path(__file__).read_text()


@pytest.mark.parametrize("estimator", EXAMPLES, ids=str)
def test_every_estimator_is_split_and_merged(estimator):
    estimator = ready(estimator)
    graph, state = nnx.split(Model(estimator))
    back = nnx.merge(graph, state).estimator
    assert str(back) == str(estimator)
    assert jax.tree.structure(back) == jax.tree.structure(estimator)
    jax.tree.map(np.testing.assert_array_equal, back, estimator)
    assert len(jax.tree.leaves(state)) == 2 + len(jax.tree.leaves(estimator))


@pytest.mark.parametrize(
    ("estimator", "distribution"),
    [(ready(ScoreFunction(NVIL())), Bernoulli), (REBAR(0.5), Categorical)],
    ids=str,
)
def test_gradients_of_model_and_estimator(estimator, distribution):
    model = Model(estimator, distribution)

    def plain(encoder, estimator):
        def one(x, key):
            logits = x @ encoder["kernel"] + encoder["bias"]
            logits = logits if distribution is Bernoulli else logits.reshape(2, 2)
            return estimator(key, distribution(logits), lambda z: jnp.sum((z - 0.3) ** 3))

        return jax.vmap(one)(X, KEYS).mean()

    encoder = {"kernel": model.encoder.kernel[...], "bias": model.encoder.bias[...]}
    encoder, tuning = jax.jit(jax.grad(plain, (0, 1)))(encoder, estimator)
    found = jax.jit(jax.grad(loss))(model, KEYS)
    np.testing.assert_allclose(found.encoder.kernel[...], encoder["kernel"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.encoder.bias[...], encoder["bias"], rtol=1e-5, atol=1e-6)
    assert jax.tree.structure(found.estimator) == jax.tree.structure(tuning)
    for one, other in zip(*map(jax.tree.leaves, (found.estimator, tuning)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(found.estimator))
    # As flax says it: parameters alone, or all.
    parameters = nnx.jit(nnx.grad(loss))(model, KEYS)
    assert set(parameters) == {"encoder"}
    everything = nnx.jit(nnx.grad(loss, argnums=nnx.DiffState(0, ...)))(model, KEYS)
    sums = ([float(leaf.sum()) for leaf in jax.tree.leaves(x)] for x in (everything, found))
    np.testing.assert_allclose(*map(sorted, sums), rtol=1e-4, atol=1e-5)


def test_an_estimator_is_tuned_with_its_model():
    model = Model(ready(ScoreFunction(NVIL())))
    optimiser = with_tuner(optax.sgd(0.1))

    @jax.jit
    def step(model, state, key):
        gradient = jax.grad(loss)(model, jax.random.split(key, 5))
        updates, state = optimiser.update(gradient, state, model)
        return optax.apply_updates(model, updates), state

    state = optimiser.init(model)
    for i in range(30):
        model, state = step(model, state, jax.random.key(i))
    # f lies between -0.108 and 1.372: a baseline has left zero for it.
    assert 0.1 < float(model.estimator.baseline.value) < 1.5


def test_nnx_transforms_take_it_too():
    model = Model(GumbelSoftmax(0.5))
    value, gradient = nnx.jit(nnx.value_and_grad(loss))(model, KEYS)
    np.testing.assert_allclose(value, loss(model, KEYS), rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
