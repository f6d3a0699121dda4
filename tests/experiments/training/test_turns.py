"""Problems with several losses: each descends its own parameters in turn."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from estimators import Bernoulli, Exact, MovingAverage, ScoreFunction
from experiments.optimisers import SGD
from experiments.problems import Problem, Turn
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run, advance, start

RATE = 0.1


@dataclasses.dataclass(frozen=True)
class Game(Problem):
    """A bit that is to differ from y, and a y that is to be its mean."""

    uses_estimator: bool = False

    def initial(self, key):
        return {"x": jnp.full(1, 0.3), "y": jnp.asarray(0.8), "fixed": jnp.asarray(2.0)}

    def distribution(self, params, batch):
        return Bernoulli(params["x"])

    def loss(self, params, estimator, key, batch):
        x, y = params["x"], params["y"]
        return estimator(key, Bernoulli(x), lambda b: -params["fixed"] * jnp.sum((b - y) ** 2))

    def follow(self, params, estimator, key, batch):
        if self.uses_estimator:
            return estimator(key, Bernoulli(params["x"]), lambda b: jnp.sum((b - params["y"]) ** 2))
        return jnp.sum((jax.nn.sigmoid(params["x"]) - params["y"]) ** 2)

    @property
    def turns(self):
        return (
            Turn(self.loss, ("x",)),
            Turn(self.follow, ("y",), SGD(momentum=0.5), rate=2.0, updates=2),
        )


def test_turns_are_those_of_their_optimisers():
    recipe, run = Recipe(Game()), Run(0, RATE)
    state = start(recipe, run, Exact(), None)
    state, losses = jax.jit(lambda state: advance(recipe, run, state, None, 3))(state)

    x, y = jnp.full(1, 0.3), jnp.asarray(0.8)
    adam, sgd = optax.adam(RATE), optax.sgd(2 * RATE, 0.5)
    of_x, of_y = adam.init(x), sgd.init(y)
    expected = []

    def first(x, y):
        p = jax.nn.sigmoid(x)
        return -2 * jnp.sum(p * (1 - y) ** 2 + (1 - p) * y**2)

    for _ in range(3):
        value, slope = jax.value_and_grad(first)(x, y)
        expected.append(value)
        update, of_x = adam.update(slope, of_x, x)
        x = x + update
        for _ in range(2):
            slope = jax.grad(lambda y, x=x: jnp.sum((jax.nn.sigmoid(x) - y) ** 2))(y)
            update, of_y = sgd.update(slope, of_y, y)
            y = y + update
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(state.params["x"], x, rtol=1e-5)
    np.testing.assert_allclose(state.params["y"], y, rtol=1e-5)
    assert state.params["fixed"] == 2.0


@pytest.mark.parametrize("baseline", [MovingAverage(0.9)])
def test_an_estimator_learns_from_the_first_loss_alone(baseline):
    found = []
    for uses in (False, True):
        recipe, run = Recipe(Game(uses)), Run(0, RATE)
        state = start(recipe, run, ScoreFunction(baseline), None)
        # One step: afterwards y, and so the first loss, differs.
        state, _ = advance(recipe, run, state, None, 1)
        found.append(state.estimator.baseline.value)
    assert found[0] == found[1] != 0


def test_updates_have_noise_of_their_own():
    @dataclasses.dataclass(frozen=True)
    class Noisy(Game):
        def follow(self, params, estimator, key, batch):
            return jax.random.normal(key) * params["y"]

        @property
        def turns(self):
            return (Turn(self.loss, ("x",)), Turn(self.follow, ("y",), SGD(), updates=3))

    recipe, run = Recipe(Noisy()), Run(0, 1.0)
    state = start(recipe, run, Exact(), None)
    steps = [state.params["y"]]
    for _ in range(2):
        state, _ = advance(recipe, run, state, None, 1)
        steps.append(state.params["y"])
    # Three equal numbers would have a sum of three times one normal number: the same key each.
    noise = [
        [
            jax.random.normal(
                jax.random.split(
                    jax.random.fold_in(
                        jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 1 + step), 1), i
                    )
                )[1]
            )
            for i in range(3)
        ]
        for step in range(2)
    ]
    assert len({float(one) for row in noise for one in row}) == 6
    np.testing.assert_allclose(np.diff(steps), -np.sum(noise, 1), rtol=1e-5)


def test_a_batch_of_runs_equals_the_runs():
    recipe = Recipe(Game())
    runs = [Run(0, 0.1), Run(1, 0.2)]
    batch = Batch(recipe, runs, [Exact()] * 2, None)
    assert jax.tree.structure(batch.shape()) == jax.tree.structure(batch.start())
    state, _ = batch.advance(batch.start(), 2)
    for number, run in enumerate(runs):
        alone, _ = advance(recipe, run, start(recipe, run, Exact(), None), None, 2)
        for name, value in alone.params.items():
            np.testing.assert_allclose(batch.gather(state.params)[name][number], value, rtol=1e-6)
