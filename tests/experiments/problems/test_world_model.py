"""The world model: its bound by brute force, its gradients, and what it imagines."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    DisARM,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    ReinMax,
    ScoreFunction,
    frozen,
)
from experiments.problems import WorldModel
from experiments.problems.environments import ENVIRONMENTS

KEY = jax.random.key(0)
SMALL = WorldModel(steps=2, variables=2, classes=2, hidden=3, batch_size=2)


def vector(tree):
    return jax.flatten_util.ravel_pytree(tree)[0]


@pytest.fixture(scope="module")
def started():
    params = jax.jit(SMALL.initial)(KEY)
    return jax.tree.map(lambda leaf: 2 * leaf + 0.1, params), SMALL.batch(jax.random.key(1), None)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dense(layers, x):
    first, last = (layers["layers"][place] for place in (0, 1))
    return np.tanh(x @ first["kernel"] + first["bias"]) @ last["kernel"] + last["bias"]


def recurrent(p, units, x):
    """The equations of flax's gated recurrent unit, and the linear output."""
    cell = p["cell"]
    dense_i = x @ cell["dense_i"]["kernel"] + cell["dense_i"]["bias"]
    dense_h = units @ cell["dense_h"]["kernel"]
    (xr, xz, xn), (hr, hz, hn) = np.split(dense_i, 3), np.split(dense_h, 3)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * (hn + cell.get("bias_hn", 0)))
    units = (1 - z) * n + z * units
    return units, units @ p["output"]["kernel"] + p["output"]["bias"]


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def bound(params, frames, pushes):
    """The expected cost, a sum over both states of every frame."""
    p = jax.tree.map(np.float64, params)
    states = [np.eye(2)[list(one)] for one in itertools.product(range(2), repeat=2)]
    total = 0.0
    for chosen in itertools.product(states, repeat=2):
        units, prior = recurrent(p["recurrent"], np.zeros(3), np.zeros(5))
        chance, cost = 1.0, 0.0
        for frame, push, state in zip(frames, pushes, chosen, strict=True):
            entering = np.concatenate([units, frame])
            logits = log_softmax(dense(p["posterior"], entering).reshape(2, 2))
            guess = log_softmax(prior.reshape(2, 2))
            seen = dense(p["decoder"], np.concatenate([units, state.ravel()]))
            cost += ((frame - seen) ** 2).sum() / (2 * 0.25**2)
            cost += (np.exp(logits) * (logits - guess)).sum()
            chance *= np.exp((logits * state).sum())
            units, prior = recurrent(p["recurrent"], units, np.concatenate([state.ravel(), push]))
        total += chance * cost
    return total


def test_the_bound_by_brute_force(started):
    params, batch = started
    expected = np.mean([bound(params, *map(np.float64, seen)) for seen in zip(*batch, strict=True)])
    assert jax.jit(SMALL.exact_loss)(params, batch) == pytest.approx(expected, rel=1e-4)


def test_the_exact_gradient_by_finite_differences(started):
    params, batch = started
    slope = jax.jit(jax.grad(SMALL.exact_loss))(params, batch)
    seen = [[np.float64(part) for part in one] for one in zip(*batch, strict=True)]
    for name in ("posterior", "decoder"):

        def moved(by, name=name):
            own = jax.tree.map(np.float64, params)
            own[name]["layers"][1]["bias"][0] += by
            return np.mean([bound(own, *one) for one in seen])

        expected = (moved(1e-4) - moved(-1e-4)) / 2e-4
        assert slope[name]["layers"][1]["bias"][0] == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("estimator", [ScoreFunction(), ScoreFunction(LeaveOneOut(2))], ids=str)
def test_frames_and_whole_episodes_have_the_exact_gradient(started, estimator):
    params, batch = started

    def loss(posterior, estimator, key):
        with frozen():
            return SMALL.loss(params | {"posterior": posterior}, estimator, key, batch)

    slope = jax.jit(jax.vmap(jax.grad(loss), (None, None, 0)))
    keys = jax.random.split(jax.random.key(5), 4000)
    drawn = np.float64(jax.vmap(vector)(slope(params["posterior"], estimator, keys)))
    exact = np.float64(vector(jax.jit(jax.grad(loss))(params["posterior"], Exact(), KEY)))
    errors = drawn.std(0) / np.sqrt(len(keys))
    assert (np.abs(drawn.mean(0) - exact) <= 4.5 * errors + 1e-5).all()
    assert np.abs(exact / errors).max() > 10


def test_frames_are_those_of_cart_pole():
    world, problem = ENVIRONMENTS["cart-pole"], WorldModel(steps=4, batch_size=1)
    (frames,), (pushes,) = problem.batch(KEY, None)
    assert set(np.unique(pushes)) <= {-1.0, 1.0} and frames.shape == (4, 2)
    state = world.reset(jax.random.split(jax.random.split(KEY, 1)[0])[0])
    for frame, push in zip(frames, pushes, strict=True):
        np.testing.assert_allclose(frame, state.place[jnp.array([0, 2])] * 10, rtol=1e-4, atol=1e-5)
        for _ in range(3):
            state, _ = world.step(state, jnp.eye(2)[int(push[0] > 0)])


def test_scores_are_those_of_the_model(started):
    params, _ = started
    found = jax.jit(SMALL.scores)(params, KEY, None)
    many = WorldModel(2, 2, 2, 3, batch_size=512)
    exact = jax.jit(many.exact_loss)(params, many.batch(jax.random.key(7), None))
    assert found["episode_bound"] == pytest.approx(exact, rel=0.15)
    # A model whose every frame is zero has the mean square of frames as its error.
    silent = jax.tree.map(jnp.zeros_like, params)
    frames, _ = many.batch(jax.random.key(8), None)
    square = np.sum(np.square(frames[:, 1]), -1)
    error = square.std() * np.sqrt(1 / 512 + 1 / 256)
    imagined = jax.jit(SMALL.scores)(silent, KEY, None)["imagined_error"]
    assert imagined == pytest.approx(square.mean(), abs=4 * error)


def test_what_does_not_fit_is_refused(started):
    one = SMALL.distribution(*started)
    for estimator in (GumbelSoftmax(1.0), ReinMax(), ScoreFunction(LeaveOneOut(4)), Exact()):
        assert SMALL.refusal(estimator, one) is None
    assert "Bernoulli" in SMALL.refusal(DisARM(), one)
    assert SMALL.evaluations(ScoreFunction(LeaveOneOut(4)), one) == 4
    assert WorldModel(steps=12).refusal(Exact(), one) is not None
    for wrong in (
        WorldModel(steps=1),
        WorldModel(variables=0),
        WorldModel(classes=1),
        WorldModel(hidden=0),
        WorldModel(batch_size=0),
    ):
        with pytest.raises((TypeError, ValueError), match="WorldModel"):
            wrong.check()
