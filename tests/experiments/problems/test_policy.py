"""Policies: dynamics, enumeration of the token game, and the estimators that fit."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    MLP,
    NVIL,
    RELAX,
    Exact,
    GroupMean,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    MuProp,
    ScoreFunction,
    frozen,
)
from experiments.problems import Policy
from experiments.problems.environments import ENVIRONMENTS

KEY = jax.random.key(0)
TOKENS = Policy(hidden=4)
EARNING = Policy(hidden=4, entropy=0.0)  # of an entropy a group mean has the whole gradient
CART = Policy("cart-pole")
VALUE = ScoreFunction(NVIL(network=MLP(6, context=8)))


def vector(tree):
    return jax.flatten_util.ravel_pytree(tree)[0]


@pytest.fixture(scope="module")
def tokens():
    """Return parameters of a policy that prefers something, and the start."""
    params = jax.jit(TOKENS.initial)(KEY)
    return jax.tree.map(lambda leaf: 1.5 * leaf + 0.1, params), TOKENS.batch(KEY, None)


def test_the_token_game_by_brute_force(tokens):
    params, start = tokens
    world, network = ENVIRONMENTS["tokens"], TOKENS._network[1]
    rewarded = {(0, 2, 1, 1), (0, 2, 0, 2), (0, 2, 2, 0)}

    @jax.jit
    def step(observed):
        logits = network(params["policy"], observed)
        return jax.nn.softmax(logits)

    total, mass, earned = 0.0, 0.0, 0.0
    for string in itertools.product(range(3), repeat=4):
        chance, bonus, before = 1.0, 0.0, np.zeros(3)
        for place, token in enumerate(string):
            probs = np.float64(step(np.concatenate([before, np.eye(4)[place]])))
            bonus -= 0.99**place * 0.01 * (probs * np.log(probs)).sum()
            chance *= probs[token]
            before = np.eye(3)[token]
        mass += chance
        earned += chance * (string in rewarded)
        total -= chance * (0.99**3 * (string in rewarded) + bonus)
    assert mass == pytest.approx(1, rel=1e-5)
    assert world.length == 4
    assert jax.jit(TOKENS.exact_loss)(params, start) == pytest.approx(total, rel=1e-4)
    found = [jax.jit(TOKENS.scores)(params, jax.random.key(i), None) for i in range(20)]
    mean = np.mean([one["episode_return"] for one in found])
    assert mean == pytest.approx(earned, abs=4 * np.sqrt(earned * (1 - earned) / 2000))


@pytest.mark.first_cases(4)
@pytest.mark.parametrize(
    "estimator",
    [
        VALUE,
        RELAX(MLP(6, context=8)),
        ScoreFunction(LeaveOneOut(3)),
        ScoreFunction(GroupMean(3)),
        ScoreFunction(),
        ScoreFunction(MovingAverage(0.9)),
    ],
    ids=str,
)
def test_estimators_have_the_exact_gradient(tokens, estimator):
    params, start = tokens
    one = TOKENS.distribution(params, start)
    ready = estimator.initialise(jax.random.key(1), one)
    ready = jax.tree.map(lambda leaf: leaf + 0.04 if leaf.ndim else leaf, ready)

    def loss(params, estimator, key):
        with frozen():
            return EARNING.loss(params, estimator, key, start)

    exact = np.float64(vector(jax.jit(jax.grad(loss))(params, Exact(), KEY)))
    draw = jax.jit(jax.vmap(lambda key: vector(jax.grad(loss)(params, ready, key))))
    drawn = np.float64(draw(jax.random.split(jax.random.key(2), 16_000)))
    exact *= 2 / 3 if "GroupMean" in str(estimator) else 1
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(0) - exact) <= 4.5 * error + 1e-6).all()
    # Seen best along the gradient itself.
    along = drawn @ exact / np.linalg.norm(exact)
    error = along.std() / np.sqrt(len(along))
    assert along.mean() == pytest.approx(np.linalg.norm(exact), abs=4 * error)
    assert np.linalg.norm(exact) > 8 * error


def test_cart_pole_falls_as_gyms():
    """Against the equations of motion in double precision, and limits of an episode."""
    world = ENVIRONMENTS["cart-pole"]
    state = world.reset(KEY)
    x, speed, angle, turn = np.float64(state.place)
    step = jax.jit(world.step)
    total = 0.0
    for number in range(200):
        push = (number // 3) % 2
        force = 10.0 if push else -10.0
        state, reward = step(state, jnp.eye(2)[push])
        total += float(reward)
        temp = (force + 0.05 * turn**2 * np.sin(angle)) / 1.1
        bend = (9.8 * np.sin(angle) - np.cos(angle) * temp) / (
            0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
        )
        slide = temp - 0.05 * bend * np.cos(angle) / 1.1
        x, speed = x + 0.02 * speed, speed + 0.02 * slide
        angle, turn = angle + 0.02 * turn, turn + 0.02 * bend
        if float(state.alive):
            np.testing.assert_allclose(state.place, [x, speed, angle, turn], atol=2e-4)
        else:
            assert abs(x) > 2.4 or abs(angle) > 12 * np.pi / 180
            break
    assert total == number + 1 and number < 199
    kept = state.place
    state, reward = step(state, jnp.eye(2)[0])
    assert reward == 0 and not state.alive
    np.testing.assert_array_equal(state.place, kept)


def test_cart_pole_is_gymnaxs():
    gymnax = pytest.importorskip("gymnax")
    environment, settings = gymnax.make("CartPole-v1")
    world = ENVIRONMENTS["cart-pole"]
    state = world.reset(KEY)
    _, theirs = environment.reset(KEY, settings)
    theirs = theirs.replace(
        x=state.place[0], x_dot=state.place[1], theta=state.place[2], theta_dot=state.place[3]
    )
    for number in range(30):
        action = number % 2
        observed, theirs, *_ = environment.step_env(KEY, theirs, action, settings)
        state, _ = world.step(state, jnp.eye(2)[action])
        np.testing.assert_allclose(state.place, observed, atol=1e-5)


def test_an_ended_episode_costs_nothing_and_has_no_gradient():
    params = jax.jit(CART.initial)(KEY)
    start = jax.tree.map(lambda leaf: leaf[0], CART.batch(KEY, None))
    ended = start._replace(alive=jnp.float32(0))
    batch = jax.tree.map(lambda leaf: leaf[None], ended)
    for estimator in (ScoreFunction(), ScoreFunction(LeaveOneOut(2))):
        value, slope = jax.jit(
            jax.value_and_grad(lambda params, e=estimator: CART.loss(params, e, KEY, batch))
        )(params)
        assert value == 0
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(slope))


def test_a_long_episode_has_a_finite_gradient():
    params = jax.jit(CART.initial)(KEY)
    value = ScoreFunction(NVIL(network=MLP(10, context=5)))
    batch = CART.batch(KEY, None)
    ready = value.initialise(KEY, CART.distribution(params, batch))
    slopes = jax.jit(jax.grad(CART.loss, (0, 1)))(params, ready, KEY, batch)
    assert np.isfinite(vector(slopes)).all() and np.abs(vector(slopes[0])).max() > 0
    assert np.abs(vector(slopes[1])).max() > 0


def test_what_does_not_fit_is_refused():
    one = TOKENS.distribution(jax.jit(TOKENS.initial)(KEY), TOKENS.batch(KEY, None))
    for estimator in (GumbelSoftmax(1.0), MuProp(), RELAX(relaxes_objective=True)):
        assert "black box" in TOKENS.refusal(estimator, one)
    assert CART.refusal(Exact(), one) is not None and TOKENS.refusal(Exact(), one) is None
    assert TOKENS.refusal(RELAX(MLP(4, context=8)), one) is None
    assert TOKENS.evaluations(ScoreFunction(LeaveOneOut(4)), one) == 4
    assert TOKENS.evaluations(RELAX(), one) == 1
    for wrong in (
        Policy("chess"),
        Policy(hidden=0),
        Policy(batch_size=0),
        Policy(discount=0.0),
        Policy(discount=1.1),
        Policy(entropy=-1.0),
    ):
        with pytest.raises((TypeError, ValueError), match="Policy"):
            wrong.check()
