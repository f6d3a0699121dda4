"""Whole sequences as one distribution: law, enumeration, and the gradients of groups of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from estimators import (
    Autoregressive,
    Bernoulli,
    Categorical,
    DisARM,
    Exact,
    LeaveOneOut,
    ScoreFunction,
    sequence,
)

PARAMS = {"h": jnp.array([0.3, -0.7, 0.2]), "w": jnp.array([[0.5, -1.0, 0.8], [0.1, 0.9, -0.3]])}


def first(params):
    return params["h"][:2]


def conditional(params, state):
    return Categorical(state @ params["w"])


def following(params, state, sample):
    return jnp.tanh(state + sample @ params["w"].T)


SEQUENCES = Autoregressive(PARAMS, first, conditional, following, 3)


def chance(classes):
    state, found = first(PARAMS), 1.0
    for one in classes:
        logits = np.asarray(state @ PARAMS["w"], np.float64)
        found *= np.exp(logits[one]) / np.exp(logits).sum()
        state = following(PARAMS, state, jnp.eye(3)[one])
    return found


CHANCES = {classes: chance(classes) for classes in itertools.product(range(3), repeat=3)}


def test_the_states_are_all_sequences_and_their_chances_those_of_the_steps():
    assert SEQUENCES.event_shape == (3, 3) and SEQUENCES.num_states == 27
    states = SEQUENCES.states()
    assert [tuple(map(int, state.argmax(-1))) for state in states] == list(CHANCES)
    found = jnp.exp(jax.vmap(SEQUENCES.log_prob)(states))
    np.testing.assert_allclose(found, list(CHANCES.values()), rtol=1e-5)
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-5)


def test_samples_follow_the_law():
    count = 20_000
    draws = jax.jit(jax.vmap(SEQUENCES.sample))(jax.random.split(jax.random.key(0), count))
    numbers = np.asarray(draws.argmax(-1)) @ [9, 3, 1]
    seen = np.bincount(numbers, minlength=27)
    assert stats.chisquare(seen, count * np.array(list(CHANCES.values()))).pvalue > 1e-4


def test_whole_sequences_and_steps_have_one_gradient():
    """The exact gradient of whole sequences is that of nested exact calls."""

    def cost(params, state, sample):
        return jnp.sum(state * params["h"][1:]) + sample @ jnp.array([1.0, -0.3, 0.4])

    def of_sequences(estimator, params):
        def f(samples):
            def step(state, sample):
                after = following(params, state, sample)
                return after, cost(params, after, sample)

            return jax.lax.scan(step, first(params), samples)[1].sum()

        whole = Autoregressive(params, first, conditional, following, 3)
        return estimator(jax.random.key(1), whole, f)

    def nested(params, state, left):
        if not left:
            return 0.0

        def f(sample):
            after = following(params, state, sample)
            return cost(params, after, sample) + nested(params, after, left - 1)

        return Exact()(jax.random.key(0), conditional(params, state), f)

    expected = jax.jit(jax.grad(lambda params: nested(params, first(params), 3)))(PARAMS)
    found = jax.jit(jax.grad(lambda params: of_sequences(Exact(), params)))(PARAMS)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected
    )


def test_leave_one_out_over_sequences_is_unbiased():
    def loss(params, key, estimator):
        whole = Autoregressive(params, first, conditional, following, 3)
        return estimator(key, whole, lambda z: jnp.square(jnp.sum(z[:, 0]) - 0.7))

    exact = jax.flatten_util.ravel_pytree(jax.grad(loss)(PARAMS, jax.random.key(0), Exact()))[0]
    draw = jax.vmap(jax.grad(loss), (None, 0, None))
    keys = jax.random.split(jax.random.key(2), 40_000)
    drawn = jax.jit(draw, static_argnums=())(PARAMS, keys, ScoreFunction(LeaveOneOut(3)))
    flat = np.float64(jax.vmap(lambda tree: jax.flatten_util.ravel_pytree(tree)[0])(drawn))
    error = flat.std(0) / np.sqrt(len(flat))
    assert (np.abs(flat.mean(0) - exact) <= 4 * error + 1e-6).all()
    assert np.abs(exact).max() > 20 * error.max()


def test_what_does_not_fit_is_refused():
    key = jax.random.key(0)
    with pytest.raises(TypeError, match="takes Bernoulli, not Autoregressive"):
        DisARM()(key, SEQUENCES, jnp.sum)
    with pytest.raises(ValueError, match="length"):
        ScoreFunction()(
            key, Autoregressive(PARAMS, first, conditional, following, 0), lambda z: z.sum()
        )
    with pytest.raises(ValueError, match="states"):
        Exact()(key, Autoregressive(PARAMS, first, conditional, following, 40), jnp.sum)
    with pytest.raises(ValueError, match="independent"):
        SEQUENCES.independent(2)
    with pytest.raises(ValueError, match="evaluates f 2 times"):
        sequence(
            ScoreFunction(LeaveOneOut(2)),
            key,
            jnp.zeros(1),
            lambda state, x: Bernoulli(state),
            lambda state, z, x: (state, z.sum()),
            length=2,
        )
