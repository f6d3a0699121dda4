"""Estimators that draw states without replacement, against every order in which states can come."""

import functools
import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import Bernoulli, Categorical, ScoreFunction, SumAndSample, UnorderedSet
from estimators.enumeration.excess import log_excess
from estimators.enumeration.unordered_set import order_probabilities
from estimators.enumeration.without_replacement import draw, most_probable
from tests.estimators.helpers.enumeration import exact, joint, logistic_panels, moments, per_key
from tests.estimators.helpers.sampling import z_scores
from tests.estimators.helpers.scripted import gumbel_keys

pytestmark = pytest.mark.usefixtures("float64", "strict_dtypes")

BITS = np.array([-1.3, 0.4, 1.0])
CLASSES = np.array([[1.2, -0.4, 0.1], [-0.5, 0.3, 0.2]])
ONE = np.array([[1.3, -0.4, 0.2, -0.9]])
"""One variable, whose order of states is that of its perturbed logits."""


def coupled(z):
    x = z.ravel()
    a, b = np.cos(2.0 * np.arange(x.size) + 1), np.linspace(1.5, -1.0, x.size)
    return jnp.sin(a @ x) + (b @ x) ** 3


def order_chance(chance, order):
    """Plackett and Luce: each state is drawn from what is left."""
    left, product = 1, 1
    for state in order:
        product *= chance[state] / left
        left -= chance[state]
    return product


# The order's probabilities, in exact arithmetic


def by_every_order(chance):
    """Return the probabilities of who is first, and who next, given the set."""
    count = len(chance)
    first = [Fraction(0)] * count
    following = [[Fraction(0)] * count for _ in range(count)]
    for order in itertools.permutations(range(count)):
        product = order_chance(chance, order)
        first[order[0]] += product
        if count > 1:
            following[order[0]][order[1]] += product
    total = sum(first)
    rows = [[x / first[i] for x in row] for i, row in enumerate(following)]
    return [x / total for x in first], rows


def by_inclusion_and_exclusion(chance):
    """The same, from the probabilities of sets: for more states than can be ordered."""
    rest = 1 - sum(chance)

    def integral(states):
        return sum(
            (-1) ** size * rest / (rest + sum(chosen))
            for size in range(len(states) + 1)
            for chosen in itertools.combinations(states, size)
        )

    def without(*left_out):
        return [p for i, p in enumerate(chance) if i not in left_out]

    once = [integral(without(i)) for i in range(len(chance))]
    whole = integral(chance)
    first = [p * part / whole for p, part in zip(chance, once, strict=True)]
    following = [
        [
            0 if i == j else chance[j] * integral(without(i, j)) / once[i] / (1 - chance[i])
            for j in range(len(chance))
        ]
        for i in range(len(chance))
    ]
    return first, following


def log(fraction):
    return math.log(fraction.numerator) - math.log(fraction.denominator)


@pytest.mark.first_cases(3)
@pytest.mark.parametrize(
    ("count", "reference"),
    [
        (1, by_every_order),
        (2, by_every_order),
        (3, by_every_order),
        (6, by_every_order),
        pytest.param(9, by_inclusion_and_exclusion, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-12)])
def test_order_probabilities(count, reference, dtype, tolerance):
    """From even to as skewed as can be, in a set of nearly no probability to nearly all."""
    random = np.random.default_rng(count)
    probabilities = jax.jit(order_probabilities)
    for skew in (0.1, 3.0, 20.0):
        for odds in (1e-25, 1e-6, 1.0, 1e6):  # of the set
            shape = random.normal(size=count) * skew
            # What the type can hold is the input.
            log_probs = np.asarray(shape - shape.max() + min(0, math.log(odds)), dtype)
            log_rest = np.asarray(min(0, -math.log(odds)), dtype)
            chance = [Fraction(math.exp(x)) for x in log_probs.astype(float)]
            rest = Fraction(math.exp(log_rest))
            chance = [p / (sum(chance) + rest) for p in chance]
            given = jnp.asarray(log_probs), jnp.asarray(log_rest)
            first, following, left = map(np.asarray, probabilities(*given))
            assert first.dtype == dtype
            wanted = reference(chance)
            for found, truth in zip((first, following), wanted, strict=True):
                truth = np.array(truth, float)
                np.testing.assert_allclose(found, truth, rtol=tolerance, atol=1e-30)
            np.testing.assert_allclose(first.sum(), 1, rtol=1e-6)
            if count > 1:
                np.testing.assert_allclose(following.sum(-1), 1, rtol=1e-6)
                # In units of all there is: what was given is not normalised.
                total = np.exp(np.logaddexp.reduce([*log_probs, log_rest]))
                truth = np.array([float(1 - p) for p in chance]) * total
                np.testing.assert_allclose(left, truth, rtol=max(tolerance, 1e-6))


def test_order_probabilities_of_many():
    """A hundred states of one chance: all alike."""
    log_probs, log_rest = np.full(100, -9.0), np.log1p(-100 * np.exp(-9.0))
    first, following, _ = jax.jit(order_probabilities)(log_probs, log_rest)
    np.testing.assert_allclose(first, 1 / 100, rtol=1e-12)
    np.testing.assert_allclose(following, (1 - np.eye(100)) / 99, rtol=1e-12)


# The beam search


def all_of(cls, logits):
    states, chance = joint(cls(logits), 1)
    return states[:, 0], chance


def numbers(states, found):
    """Return which of all states the found ones are."""
    same = (found[..., None, :, :] == states) if states.ndim == 3 else found[..., None, :] == states
    return same.reshape(*same.shape[: found.ndim - states.ndim + 2], -1).all(-1).argmax(-1)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    ("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)], ids=["bits", "classes"]
)
def test_most_probable(cls, logits, size):
    states, chance = all_of(cls, logits)
    find = jax.jit(most_probable, static_argnums=1)
    top, log_probs, log_rest = find(cls(jnp.asarray(logits)), size)
    wanted = np.argsort(-chance)[:size]
    np.testing.assert_array_equal(top, states[wanted])
    np.testing.assert_allclose(np.exp(log_probs), chance[wanted], rtol=1e-12)
    np.testing.assert_allclose(np.exp(log_rest), 1 - chance[wanted].sum(), rtol=1e-12)


def test_the_rest_is_precise_where_it_is_tiny():
    logits = np.array([40.0, -45.0, 50.0])
    find = jax.jit(most_probable, static_argnums=1)
    *_, log_rest = find(Bernoulli(jnp.asarray(logits, "float32")), 2)
    # All but the mode, and the mode with its first bit flipped.
    np.testing.assert_allclose(np.exp(log_rest), np.exp(-45) + np.exp(-50), rtol=1e-5)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("cls", "logits"), [(Bernoulli, BITS[:2]), (Categorical, CLASSES)], ids=["bits", "classes"]
)
def test_order_of_draws(cls, logits, count):
    """The orders' frequencies are Plackett and Luce's, by a chi-square."""
    states, chance = all_of(cls, logits)
    q = cls(jnp.asarray(logits))
    keys = jax.random.split(jax.random.key(3), 40_000)
    drawn = jax.jit(jax.vmap(lambda key: draw(key, q, count)))(keys)
    order = numbers(states, np.asarray(drawn.states))
    np.testing.assert_allclose(np.exp(drawn.log_probs), chance[order], rtol=1e-12)
    rest = 1 - chance[order].sum(-1)
    np.testing.assert_allclose(np.exp(drawn.log_rest), rest, rtol=1e-9)
    np.testing.assert_array_equal(drawn.states[:, 0], jax.vmap(q.sample)(keys))

    orders = list(itertools.permutations(range(len(states)), count))
    expected = np.array([order_chance(chance, each) for each in orders])
    np.testing.assert_allclose(expected.sum(), 1, rtol=1e-12)
    code = len(states) ** np.arange(count)
    seen = (order @ code)[:, None] == np.array(orders) @ code
    assert (seen.sum(1) == 1).all(), "a state came twice"
    expected = len(keys) * expected
    statistic = ((seen.sum(0) - expected) ** 2 / expected).sum()
    degrees = len(orders) - 1
    assert abs(statistic - degrees) < 4 * math.sqrt(2 * degrees)


@pytest.mark.parametrize("logit", [-4.0, 0.7, 3.0])
def test_excess_of_bits(logit):
    """Exponential whatever the winner, by quadrature: moments are factorials."""
    nodes, weights = logistic_panels(-logit, 1)
    q = Bernoulli(jnp.asarray([logit]))
    found = jax.jit(jax.vmap(functools.partial(log_excess, q)))(nodes[:, None])
    found = np.asarray(found)[:, 0]
    won = logit + nodes > 0
    chance = 1 / (1 + math.exp(-logit))
    for winner, part, wins in ((1, won, chance), (0, ~won, 1 - chance)):
        assert np.isneginf(found[part, winner]).all()
        excess = np.exp(found[part, 1 - winner])
        for power in (1, 2, 3):
            moment = weights[part] @ excess**power / wins
            np.testing.assert_allclose(moment, math.factorial(power), rtol=1e-7)


def test_excess_of_classes():
    """Exponential and uncorrelated with each other, given the winner."""
    q = Categorical(jnp.asarray(ONE))
    keys = jax.random.split(jax.random.key(5), 100_000)
    noise = jax.jit(jax.vmap(q.noise))(keys)
    excess = np.exp(jax.jit(jax.vmap(functools.partial(log_excess, q)))(noise))[:, 0]
    winner = np.argmax(ONE[0] + np.asarray(noise)[:, 0], -1)
    for state in range(4):
        given = excess[winner == state]
        others = np.delete(given, state, 1)
        assert (given[:, state] == 0).all()
        products = [others, others**2, others[:, :2] * others[:, 1:]]
        for product, mean in zip(products, (1, 2, 1), strict=True):
            assert z_scores(product, mean).max() < 4


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("cls", [Bernoulli, Categorical])
def test_excess_is_never_undefined(cls):
    with jax.enable_x64(False):
        q = cls(jnp.asarray([[50.0, -50.0], [0.0, 0.0], [-50.0, 50.0]], "float32"))
        keys = jax.random.split(jax.random.key(5), 10_000)
        excess = jax.jit(jax.vmap(lambda key: log_excess(q, q.noise(key))))(keys)
        assert not np.isnan(excess).any()
        assert (np.asarray(excess) < np.inf).all()
        extreme = jnp.full(q.event_shape, 20.0, "float32")
        assert not np.isnan(jax.jit(functools.partial(log_excess, q))(extreme)).any()


# The estimators over every order


def every_order():
    """Return keys for every order of the states of one variable, and the orders."""
    count = ONE.size
    orders = np.array(list(itertools.permutations(range(count))))
    levels = np.empty_like(orders, float)
    np.put_along_axis(levels, orders, np.arange(8.0, 8.0 - 2 * count, -2)[None], 1)
    noise = (levels - ONE)[:, None, None, :]
    return gumbel_keys(np.repeat(noise, 4, axis=1)), orders


def f_and_score():
    states, chance = all_of(Categorical, ONE)
    values = np.asarray(jax.vmap(coupled)(jnp.asarray(states)))
    return values, states - chance.reshape(1, 1, -1), chance


def unordered_set(drawn):
    """Kool et al.'s estimator with the built-in baseline, from the probabilities of sets."""
    values, score, chance = f_and_score()

    def of_set(states, without=()):
        scale = 1 - sum(chance[s] for s in without)
        rescaled = chance / scale
        return sum(order_chance(rescaled, order) for order in itertools.permutations(states))

    def ratio(s, drawn, without=()):
        inside = [x for x in drawn if x != s]
        return of_set(inside, (*without, s)) / of_set(drawn, without)

    value, gradient = 0.0, np.zeros_like(score[0])
    for s in drawn:
        others = [x for x in drawn if x != s]
        baseline = 0.0
        if others:
            baseline = chance[s] * values[s] + sum(
                chance[x] * ratio(x, others, (s,)) * values[x] for x in others
            )
        weight = chance[s] * ratio(s, drawn)
        value += weight * values[s]
        gradient += weight * (values[s] - baseline) * score[s]
    return value, gradient


def sum_and_sample(drawn, order):
    values, score, chance = f_and_score()
    top = np.argsort(-chance)[: len(drawn) - 1]
    (sample, *_) = [s for s in order if s not in top]
    rest = 1 - chance[top].sum()
    value = chance[top] @ values[top] + rest * values[sample]
    gradient = np.einsum("s,s...->...", (chance * values)[top], score[top])
    return value, gradient + rest * values[sample] * score[sample]


@pytest.mark.first_cases(3)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("cls", [UnorderedSet, SumAndSample])
def test_definition(cls, count):
    """Order by order as defined; so mean and variance exactly, and the mean is the truth."""
    keys, orders = every_order()
    values, gradients = per_key(cls(count), Categorical, ONE, keys, coupled)
    _, _, chance = f_and_score()
    chances = np.array([order_chance(chance, order) for order in orders])
    if cls is UnorderedSet:
        defined = [unordered_set(list(order[:count])) for order in orders]
    elif count < ONE.size:
        defined = [sum_and_sample(order[:count], order) for order in orders]
    else:
        defined = [exact(Categorical, ONE, coupled)] * len(orders)
    for found, wanted in zip((values, gradients), zip(*defined, strict=True), strict=True):
        np.testing.assert_allclose(found, np.array(wanted), rtol=1e-11, atol=1e-12)
    value, gradient = exact(Categorical, ONE, coupled)
    np.testing.assert_allclose(chances @ values, value, rtol=1e-12)
    np.testing.assert_allclose(moments(chances, gradients)[0], gradient, rtol=1e-11, atol=1e-13)


def test_value_of_more_states_varies_less():
    """A theorem: each is the mean of one sample, given more and more of what was drawn."""
    keys, orders = every_order()
    _, _, chance = f_and_score()
    chances = np.array([order_chance(chance, order) for order in orders])
    variances = []
    for count in (1, 2, 3, 4):
        values, _ = per_key(UnorderedSet(count), Categorical, ONE, keys, coupled)
        variances.append(moments(chances, values)[1])
    f_values, _, _ = f_and_score()
    np.testing.assert_allclose(variances[0], moments(chance, f_values)[1], rtol=1e-10)
    assert all(more < fewer for fewer, more in itertools.pairwise(variances))
    assert variances[-1] < 1e-28


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    ("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)], ids=["bits", "classes"]
)
@pytest.mark.parametrize("estimator", [UnorderedSet, SumAndSample])
def test_one_state_is_the_score_function_and_all_are_exact(estimator, cls, logits):
    """Sample by sample; and all without variance, however many more are asked for."""
    keys = jax.random.split(jax.random.key(0), 100)
    one, plain = (
        per_key(each, cls, logits, keys, coupled) for each in (estimator(1), ScoreFunction())
    )
    for got, wanted in zip(one, plain, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)
    count = len(all_of(cls, logits)[0])
    for number in (count, count + 5):
        assert estimator(number).evaluations(cls(logits)) == count
        results = per_key(estimator(number), cls, logits, keys, coupled)
        for got, wanted in zip(results, exact(cls, logits, coupled), strict=True):
            np.testing.assert_array_equal(got, got[:1].repeat(len(keys), 0))
            np.testing.assert_allclose(got[0], wanted, rtol=1e-12, atol=1e-14)
    # And with one fewer, something is random.
    assert per_key(estimator(count - 2), cls, logits, keys, coupled)[0].std() > 0


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    ("cls", "logits"), [(Bernoulli, BITS), (Categorical, CLASSES)], ids=["bits", "classes"]
)
@pytest.mark.parametrize(
    ("estimator", "invariant"),
    [
        (UnorderedSet(1), False),
        (UnorderedSet(2), True),
        (UnorderedSet(4), True),
        (SumAndSample(3), False),
    ],
    ids=str,
)
def test_constant_added_to_f(estimator, invariant, cls, logits):
    keys = jax.random.split(jax.random.key(0), 100)
    _, plain = per_key(estimator, cls, logits, keys, coupled)
    _, shifted = per_key(estimator, cls, logits, keys, lambda z: coupled(z) + 100)
    assert (np.abs(shifted - plain).max() < 1e-11) == invariant


@pytest.mark.slow
@pytest.mark.parametrize(
    "q",
    [
        Bernoulli(2 * np.sin(np.arange(200.0))),
        Categorical(2 * np.sin(np.arange(200.0)).reshape(20, 10)),
    ],
    ids=["200 bits", "20 of 10 classes"],
)
@pytest.mark.parametrize("estimator", [UnorderedSet(4), SumAndSample(4)], ids=str)
def test_domains_that_cannot_be_enumerated(estimator, q):
    """A linear f, whose gradient is known; in float32."""
    weights = np.cos(np.arange(200.0)).reshape(q.event_shape)
    logits = np.asarray(q.logits)
    with jax.enable_x64(False):
        keys = jax.random.split(jax.random.key(4), 4096)

        def f(z):
            return jnp.vdot(jnp.asarray(weights, z.dtype), z) / 10

        values, gradients = per_key(estimator, type(q), logits.astype("float32"), keys, f)
    assert np.isfinite(gradients).all()

    def expected(logits):
        return jnp.vdot(weights, type(q)(logits).mean) / 10

    value, gradient = jax.value_and_grad(expected)(jnp.asarray(logits))
    assert z_scores(values[:, None], value) < 4
    scores = z_scores(gradients, np.asarray(gradient))
    assert scores.max() < 5
    assert (scores**2).mean() < 1.5
