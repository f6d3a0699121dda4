"""Sequences under a scan equal nested calls, for every estimator with one evaluation of f."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import (
    ALL,
    MLP,
    NVIL,
    Bernoulli,
    Categorical,
    DisARM,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    ScoreFunction,
    StraightThrough,
    sequence,
    with_context,
)

KEY = jax.random.key(3)
START = {"h": jnp.array([0.3, -0.7]), "count": jnp.int32(0)}
PARAMS = {
    "bernoulli": jnp.array([[0.5, -0.2], [0.3, 0.8]]),
    "categorical": jnp.linspace(-0.8, 0.9, 12).reshape(2, 2, 3),
    "recurrent": jnp.array([[0.4, -0.3], [0.2, 0.6]]),
    "input": jnp.array([0.7, -0.5]),
    "cost": jnp.array([1.3, -0.6]),
}
INPUTS = jnp.array([0.2, -1.1, 0.9])


def model(kind, params):
    """Return the distribution and the step of a small recurrent network with sampled outputs."""

    def distribution(state, x):
        logits = jnp.tensordot(jnp.tanh(state["h"] + x), params[kind], 1)
        return Bernoulli(logits) if kind == "bernoulli" else Categorical(logits)

    def advance(state, sample, x):
        seen = sample.reshape(2, -1) @ jnp.linspace(-1.0, 0.5, sample.size // 2)
        h = jnp.tanh(params["recurrent"] @ state["h"] + params["input"] * seen)
        number = state["count"] + 1
        cost = jnp.square(h @ params["cost"] - 0.3) * (1 + number) + jnp.cos(seen.sum())
        return {"h": h, "count": number}, cost

    return distribution, advance


def nested(estimator, key, start, kind, params, inputs=INPUTS):
    distribution, advance = model(kind, params)
    keys = jax.random.split(key, len(inputs))

    def value(step, state):
        if step == len(inputs):
            return 0.0

        def f(sample):
            following, cost = advance(state, sample, inputs[step])
            return cost + value(step + 1, following)

        return estimator(keys[step], distribution(state, inputs[step]), f)

    return value(0, start)


def scanned(estimator, key, start, kind, params, inputs=INPUTS):
    return sequence(estimator, key, start, *model(kind, params), inputs=inputs)


def started(h):
    return START | {"h": h}


def gradients(of, estimator, kind, key=KEY, inputs=INPUTS):
    def loss(params, h, estimator, inputs):
        return of(estimator, key, started(h), kind, params, inputs)

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3)))(PARAMS, START["h"], estimator, inputs)


def fitting(kind):
    logits = jnp.zeros((2, 3) if kind == "categorical" else 2)
    one = Categorical(logits) if kind == "categorical" else Bernoulli(logits)
    for cls in ALL:
        for variant in cls.examples():
            if not variant.refusal(one) and not variant.needs_bound:
                yield variant.initialise(jax.random.key(1), one), variant.evaluations(one)


ONCE, OFTEN = (
    [
        pytest.param(kind, estimator, id=f"{estimator}-{kind}")
        for kind in ("bernoulli", "categorical")
        for estimator, count in fitting(kind)
        if (count == 1) == is_once
    ]
    for is_once in (True, False)
)


def close(found, expected):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5 * scale), found, expected
    )


@pytest.mark.first_cases(14)
@pytest.mark.parametrize("kind, estimator", ONCE)
def test_a_sequence_is_its_nested_calls(kind, estimator):
    close(gradients(scanned, estimator, kind), gradients(nested, estimator, kind))


@pytest.mark.parametrize("kind, estimator", OFTEN)
def test_several_evaluations_are_refused(kind, estimator):
    with pytest.raises(ValueError, match=r"evaluates f .* times|too many|at most"):
        scanned(estimator, KEY, START, kind, PARAMS)


@pytest.mark.parametrize("estimator", [ScoreFunction(), ScoreFunction(MovingAverage(0.9))])
def test_the_mean_is_the_exact_gradient(estimator):
    """Against enumeration by nested `Exact`, at 4 standard errors."""
    kind, count = "bernoulli", 40_000

    def gradient(of, estimator, key):
        def loss(params):
            with estimators.frozen():
                return of(estimator, key, START, kind, params)

        return jax.flatten_util.ravel_pytree(jax.grad(loss)(PARAMS))[0]

    exact = jax.jit(functools.partial(gradient, nested, Exact()))(KEY)
    draw = jax.jit(jax.vmap(functools.partial(gradient, scanned, estimator)))
    found = np.float64(draw(jax.random.split(KEY, count)))
    error = found.std(0) / np.sqrt(count)
    assert (np.abs(found.mean(0) - exact) <= 4 * error + 1e-6).all()
    assert np.abs(exact).max() > 20 * error.max()  # else nothing would be seen


def test_a_long_sequence_is_traced_once():
    calls = []

    def distribution(state, x):
        calls.append(1)
        return Bernoulli(state[None])

    def advance(state, sample, x):
        return state + sample[0] - 0.5, jnp.square(state - sample[0])

    def loss(start):
        return sequence(StraightThrough(), KEY, start, distribution, advance, length=500)

    value, slope = jax.jit(jax.value_and_grad(loss))(0.1)
    assert np.isfinite(value) and np.isfinite(slope)
    assert len(calls) < 20


def test_a_batch_of_sequences_is_a_vmap():
    keys = jax.random.split(KEY, 3)
    both = jax.vmap(lambda key: scanned(GumbelSoftmax(0.5), key, START, "categorical", PARAMS))
    alone = [scanned(GumbelSoftmax(0.5), key, START, "categorical", PARAMS) for key in keys]
    np.testing.assert_allclose(both(keys), jnp.stack(alone), rtol=1e-5)


def test_one_step_is_one_call():
    found = scanned(ScoreFunction(), KEY, START, "bernoulli", PARAMS, INPUTS[:1])
    assert found == nested(ScoreFunction(), KEY, START, "bernoulli", PARAMS, INPUTS[:1])


def test_bad_arguments_are_refused():
    distribution, advance = model("bernoulli", PARAMS)
    good = ScoreFunction(), KEY, START, distribution, advance
    with pytest.raises(ValueError, match="needs a length"):
        sequence(*good)
    with pytest.raises(ValueError, match="length"):
        sequence(*good, length=0)
    with pytest.raises(ValueError, match="evaluates f 2 times"):
        sequence(ScoreFunction(LeaveOneOut(2)), *good[1:], inputs=INPUTS)
    with pytest.raises(ValueError, match="evaluates f 2 times"):
        sequence(DisARM(), *good[1:], inputs=INPUTS)
    with pytest.raises(TypeError, match="state like the one it takes"):
        sequence(*good[:4], lambda state, z, x: (state["h"], z.sum()), inputs=INPUTS)
    with pytest.raises(TypeError, match="key"):
        sequence(ScoreFunction(), jax.random.PRNGKey(0), *good[2:], inputs=INPUTS)


@pytest.mark.filterwarnings("error")
def test_an_estimator_that_learns_from_every_step_warns_of_nothing():
    _, slopes = gradients(scanned, ScoreFunction(MovingAverage(0.9)), "bernoulli")
    assert slopes[2].baseline.value != 0


def test_networks_see_the_context_of_each_step():
    estimator = ScoreFunction(NVIL(network=MLP(4, context=2)))
    estimator = estimator.initialise(jax.random.key(1), Bernoulli(jnp.zeros(2)))
    estimator = jax.tree.map(lambda leaf: leaf + 0.3 if leaf.ndim else leaf, estimator)
    distribution, advance = model("bernoulli", PARAMS)

    def context(state, x):
        return state["h"] + x

    def with_it(state):
        return sequence(
            estimator, KEY, state, distribution, advance, inputs=INPUTS, context=context
        )

    def by_hand(state):
        keys = jax.random.split(KEY, 3)

        def value(step, state):
            if step == 3:
                return 0.0

            def f(sample):
                following, cost = advance(state, sample, INPUTS[step])
                return cost + value(step + 1, following)

            known = with_context(f, context(state, INPUTS[step]))
            return estimator(keys[step], distribution(state, INPUTS[step]), known)

        return value(0, state)

    with estimators.frozen():
        found, expected = (
            jax.value_and_grad(lambda h, of=of: of(started(h)))(START["h"])
            for of in (with_it, by_hand)
        )
    close(found, expected)
