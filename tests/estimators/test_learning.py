"""A loop that forgets an estimator's own parameters warns; one that spoils them gives NaN."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from estimators import (
    NVIL,
    REBAR,
    Average,
    Bernoulli,
    DisARM,
    ImportanceBound,
    MovingAverage,
    MuProp,
    NotLearning,
    ScoreFunction,
    frozen,
)
from estimators.learning import learned_leaves
from experiments.training import tuner, with_tuner
from tests.estimators.helpers.examples import EXAMPLES
from tests.estimators.helpers.problems import BOUNDS, PROBLEMS

KEY = jax.random.key(0)
LOGITS = jnp.array([0.5, -1.0])
FORGOTTEN = "does not learn: .*argnums.*estimax.tuner.*frozen"


@pytest.fixture(autouse=True)
def heard():
    """pyproject.toml ignores the warning in other tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def of_example(estimator):
    """Return the loss of an example's estimator, and the arguments: leaves, estimator."""
    problems = BOUNDS if estimator.needs_bound else PROBLEMS
    layer = problems[estimator.distributions[0]].layer(0)

    def loss(distribution, estimator):
        f = ImportanceBound(lambda z: z.sum()) if estimator.needs_bound else lambda z: z.sum() ** 2
        return estimator(KEY, distribution, f)

    return loss, layer, estimator.initialise(KEY, layer)


@pytest.mark.parametrize("estimator", EXAMPLES, ids=str)
def test_who_warns(estimator):
    loss, layer, estimator = of_example(estimator)
    if learned_leaves(estimator):
        with pytest.warns(NotLearning, match=f"{type(estimator).__name__} {FORGOTTEN}") as found:
            jax.eval_shape(jax.grad(loss), layer, estimator)
        assert found[0].filename == __file__
    else:
        jax.eval_shape(jax.grad(loss), layer, estimator)
    with frozen():
        jax.eval_shape(jax.grad(loss), layer, estimator)
    jax.eval_shape(jax.grad(loss, (0, 1)), layer, estimator)
    jax.eval_shape(loss, layer, estimator)


def toy(logits, estimator, key=KEY):
    def one(key):
        return estimator(key, Bernoulli(logits), lambda z: jnp.sum((z - 0.45) ** 2) + 3)

    return jax.vmap(one)(jax.random.split(key, 4)).mean()


def scanned(logits, estimator):
    def step(total, key):
        return total + toy(logits, estimator, key), None

    return jax.lax.scan(step, 0.0, jax.random.split(KEY, 2))[0]


def nested(outer):
    def loss(logits, estimator):
        def f(z):
            return estimator(KEY, Bernoulli(logits + z), lambda y: jnp.sum((y - z) ** 2))

        return outer(jax.random.key(1), Bernoulli(logits), f)

    return loss


LOSSES = {
    "plain": lambda: toy,
    # Anew, since JAX warns only where it traces.
    "jit": lambda: jax.jit(lambda *both: toy(*both)),
    "scan": lambda: scanned,
    "checkpoint": lambda: jax.checkpoint(lambda *both: toy(*both)),
    "in DisARM": lambda: nested(DisARM()),
    # These differentiate f, and so the inner estimator, on their own.
    "in MuProp": lambda: nested(MuProp()),
    "in the mean of two": lambda: nested(Average(DisARM(), 2)),
}


@pytest.mark.parametrize("fresh", LOSSES.values(), ids=LOSSES)
def test_every_way_of_differentiating(fresh):
    estimator, loss = ScoreFunction(MovingAverage(0.9)), fresh()
    for forgetful in (
        lambda: jax.grad(fresh())(LOGITS, estimator),
        lambda: jax.jit(jax.grad(fresh()))(LOGITS, estimator),
        lambda: jax.jvp(lambda logits: fresh()(logits, estimator), [LOGITS], [LOGITS]),
        lambda: jax.vmap(jax.grad(fresh()), (0, None))(LOGITS[None], estimator),
    ):
        with pytest.warns(NotLearning, match=FORGOTTEN):
            forgetful()
    jax.grad(loss, (0, 1))(LOGITS, estimator)
    jax.jit(jax.grad(loss, (0, 1)))(LOGITS, estimator)
    jax.grad(loss, 1)(LOGITS, estimator)
    with frozen():
        jax.jit(jax.grad(loss))(LOGITS, estimator)


def test_flax():
    class Model(nnx.Module):
        def __init__(self):
            self.logits = nnx.Param(LOGITS)
            self.estimator = nnx.data(REBAR(0.5))

    def loss(model):
        return toy(model.logits[...], model.estimator)

    with pytest.warns(NotLearning, match=FORGOTTEN):
        nnx.grad(loss)(Model())
    jax.grad(loss)(Model())


AVERAGES = {
    "MovingAverage": ScoreFunction(MovingAverage(0.9)),
    "NVIL": ScoreFunction(NVIL(network=None)),
    "MuProp": MuProp(MovingAverage(0.9)),
    "Average": Average(ScoreFunction(MovingAverage(0.9)), 2),
}


@pytest.mark.parametrize("estimator", AVERAGES.values(), ids=AVERAGES)
@pytest.mark.parametrize("wrong", [optax.sgd(0.1), optax.adam(0.1), optax.adamw(0.1)])
def test_an_optimiser_of_the_model_spoils_an_average(estimator, wrong):
    both: Any = (LOGITS, estimator)

    @jax.jit
    def step(both, state):
        value, slope = jax.value_and_grad(lambda both: toy(*both))(both)
        updates, state = wrong.update(slope, state, both)
        return optax.apply_updates(both, updates), state, value

    both, state, value = step(both, wrong.init(both))
    assert np.isfinite(value)
    both, _, value = step(both, state)
    assert np.isnan(value)
    with pytest.raises(ValueError, match=r"count is .*, not 0: .*estimax\.tuner\(estimator\)"):
        toy(*both)


@pytest.mark.parametrize("estimator", [*AVERAGES.values(), REBAR(0.5)], ids=str)
def test_one_optimiser_of_both(estimator):
    """It makes the steps of two."""
    both, adam, tuning = {"a": LOGITS, "b": [estimator]}, optax.adam(0.1), tuner(estimator)
    optimiser = with_tuner(optax.adam(0.1))

    @jax.jit
    def step(both, state, own, own_state):
        slope = jax.grad(lambda both: toy(both["a"], both["b"][0]))(both)
        updates, state = optimiser.update(slope, state, both)
        model, model_state = adam.update(slope["a"], own_state[0])
        tuned, tuning_state = tuning.update(slope["b"][0], own_state[1])
        own = optax.apply_updates(own, {"a": model, "b": [tuned]})
        return optax.apply_updates(both, updates), state, own, (model_state, tuning_state)

    carry = both, optimiser.init(both), both, (adam.init(LOGITS), tuning.init(estimator))
    for _ in range(2):
        carry = step(*carry)
    jax.tree.map(np.testing.assert_array_equal, carry[0], carry[2])
    assert np.isfinite(toy(carry[0]["a"], carry[0]["b"][0]))


def test_an_optimiser_of_both_needs_both():
    optimiser = with_tuner(optax.sgd(0.1))
    with pytest.raises(ValueError, match=r"found no estimator in the model: pass \(params, est"):
        optimiser.init({"a": LOGITS})
    both: Any = (LOGITS, ScoreFunction(MovingAverage(0.9)))
    with pytest.raises(ValueError, match=r"needs update\(updates, state, params\)"):
        optimiser.update(both, optimiser.init(both))


@pytest.mark.parametrize("estimator", AVERAGES.values(), ids=AVERAGES)
def test_its_own_optimiser_does_not(estimator):
    tuning = tuner(estimator)
    slope = jax.grad(toy, 1)(LOGITS, estimator)
    updates, _ = tuning.update(slope, tuning.init(estimator))
    moved = optax.apply_updates(estimator, updates)
    assert np.isfinite(toy(LOGITS, moved))
    assert any(np.any(np.asarray(leaf) != 0) for leaf in learned_leaves(updates))
