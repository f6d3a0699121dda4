"""Learning to explain, against sums over masks and networks written out in numpy."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import SIMPLE, GumbelSoftmax, RelaxedTopK, ScoreFunction, naming
from experiments.problems import Explain
from experiments.problems.explain import FEATURES
from tests.experiments.helpers.problems import KEY, sigmoid

SMALL = Explain(selector=3, predictor=4, batch_size=3)
TASKS = ("xor", "orange", "additive", "switch")


def wide(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def ready(problem):
    """Return parameters away from their start, with logits for each example, and a batch."""
    rng = np.random.default_rng(0)
    batch = problem.batch(KEY, None)
    params = problem.measured_params(jax.jit(problem.initial)(KEY), batch)
    return jax.tree.map(lambda x: x + np.float32(0.3 * rng.normal(size=x.shape)), params), batch


def network(params, x):
    first, last = (params["layers"][level] for level in (0, 1))
    return np.maximum(x @ first["kernel"] + first["bias"], 0) @ last["kernel"] + last["bias"]


def chances(law, logits, k):
    """Yield each mask with its probability."""
    weights = np.exp(logits)
    if law == "Categorical":
        for choice in itertools.product(range(FEATURES), repeat=k):
            mask = np.bincount(choice, minlength=FEATURES) > 0
            yield mask.astype(float), np.prod(weights[list(choice)] / weights.sum())
        return
    subsets = list(itertools.combinations(range(FEATURES), k))
    if law == "Subset":
        products = [np.prod(weights[list(one)]) for one in subsets]
        found = np.array(products) / sum(products)
    else:
        found = [
            sum(map(lambda o: ordered(weights, o), itertools.permutations(one))) for one in subsets
        ]
    for one, chance in zip(subsets, found, strict=True):
        yield np.isin(np.arange(FEATURES), one).astype(float), chance


def ordered(weights, order):
    left, chance = weights.sum(), 1.0
    for item in order:
        chance *= weights[item] / left
        left -= weights[item]
    return chance


def loss_by_hand(problem, params, batch):
    params, batch, total = wide(params), wide(batch), 0.0
    for x, target, own in zip(batch["inputs"], batch["targets"], params["logits"], strict=True):
        for mask, chance in chances(problem.law, network(params["selector"], x) + own, problem.k):
            q = sigmoid(network(params["predictor"], x * mask)[0])
            p = sigmoid(target)
            total -= chance * (p * np.log(q) + (1 - p) * np.log(1 - q))
    return total / len(batch["inputs"])


@pytest.mark.parametrize(
    ("law", "task"),
    [
        ("Subset", "xor"),
        ("Subset", "switch"),
        ("PlackettLuceSubset", "xor"),
        ("Categorical", "xor"),
    ],
)
def test_the_loss_is_the_sum_over_masks(law, task):
    problem = dataclasses.replace(SMALL, law=law, task=task)
    params, batch = ready(problem)
    value, slope = jax.jit(jax.value_and_grad(problem.exact_loss))(params, batch)
    assert value == pytest.approx(loss_by_hand(problem, params, batch), rel=1e-5)
    for place in ((0, 1), (2, 9)):
        ends = []
        for step in (1e-5, -1e-5):
            moved = wide(params)
            moved["logits"][place] += step
            ends.append(loss_by_hand(problem, moved, batch))
        expected = (ends[0] - ends[1]) / 2e-5
        assert slope["logits"][place] == pytest.approx(expected, rel=2e-3, abs=1e-6)
    for name in ("selector", "predictor"):
        assert np.abs(slope[name]["layers"][1]["bias"]).max() > 0


def test_targets_and_relevant_features_are_those_of_the_paper():
    for task in TASKS:
        drawn = wide(Explain(task=task).draw(KEY, 400))
        columns = (drawn[name] for name in ("inputs", "targets", "relevant"))
        for x, target, relevant in zip(*columns, strict=True):
            on = x
            kind = task
            true = [*range({"xor": 2}.get(task, 4))]
            if task == "switch":
                orange = relevant[0] == 1
                assert abs(x[9] - (3 if orange else -3)) < 4.5
                kind, on = ("orange", x) if orange else ("additive", x[4:])
                true = [0, 1, 2, 3, 9] if orange else [4, 5, 6, 7, 9]
            odds = {
                "xor": np.exp(on[0] * on[1]),
                "orange": np.exp(np.sum(on[:4] ** 2) - 4),
                "additive": np.exp(
                    -100 * np.sin(0.2 * on[0]) + abs(on[1]) + on[2] + np.exp(-on[3]) - 2.4
                ),
            }[kind]
            assert sigmoid(target) == pytest.approx(1 / (1 + odds), rel=1e-3, abs=1e-12)
            assert np.flatnonzero(relevant).tolist() == true
    sides = np.asarray(Explain(task="switch").draw(KEY, 4000)["relevant"])[:, 0]
    assert abs(sides.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(4000)


def rigged(problem, order):
    """Return parameters whose selector prefers the features in an order, whatever the example."""
    params = problem.initial(KEY)
    params["selector"] = jax.tree.map(jnp.zeros_like, params["selector"])
    bias = np.zeros(FEATURES, np.float32)
    bias[list(order)] = np.arange(len(order), 0, -1)
    params["selector"]["layers"][1]["bias"] = jnp.asarray(bias)
    return params


@pytest.mark.parametrize(
    ("task", "order", "rank", "found"),
    [
        ("xor", (0, 1), 1.5, 1.0),
        ("xor", (8, 9), 6.5, 0.0),
        ("orange", (3, 1, 0, 2), 2.5, 1.0),
        ("orange", (0, 1, 8, 9), None, 0.5),
        ("switch", (0, 1, 2, 3, 9), None, 0.6),
    ],
)
def test_ranks_of_known_selections(task, order, rank, found):
    """Chance is 5.5 and the best is (k + 1) / 2; others against numpy."""
    problem = dataclasses.replace(SMALL, task=task)
    scores = jax.jit(problem.scores)(rigged(problem, order), KEY, None)
    assert scores["found"] == pytest.approx(found, abs=0.01)
    if rank is None:
        rng, ranks = np.random.default_rng(1), []
        k = problem.k
        for _ in range(4000):
            own = np.zeros(FEATURES)
            rest = [i for i in range(FEATURES) if i not in order]
            own[list(order)], own[rest] = rng.permutation(k) + 1, rng.permutation(10 - k) + k + 1
            true = [0, 1, 2, 3] if k == 4 else [[0, 1, 2, 3, 9], [4, 5, 6, 7, 9]][rng.integers(2)]
            ranks.append(np.median(own[true]))
        assert scores["rank"] == pytest.approx(np.mean(ranks), abs=5 * np.std(ranks) / 60)
    else:
        assert scores["rank"] == pytest.approx(rank, abs=0.05)


def test_excess_is_the_divergence_of_the_hard_model():
    problem = dataclasses.replace(SMALL, task="orange")
    params = rigged(problem, (0, 1, 2, 3))
    params["predictor"] = jax.tree.map(jnp.zeros_like, params["predictor"])
    found = jax.jit(problem.scores)(params, KEY, None)["excess"]
    odds = 4 - np.random.default_rng(0).chisquare(4, size=200_000)
    p = sigmoid(odds)
    expected = np.mean(np.log(2) + p * np.log(p) + (1 - p) * np.log1p(-p))
    assert found == pytest.approx(expected, abs=0.01)


def test_laws_take_the_estimators_that_are_made_for_them():
    known = {cls.__name__: cls for cls in (SIMPLE, RelaxedTopK, GumbelSoftmax, ScoreFunction)}
    for law, names in (
        ("Subset", ("SIMPLE", "ScoreFunction")),
        ("PlackettLuceSubset", ("RelaxedTopK[0.5]", "ScoreFunction")),
        ("Categorical", ("GumbelSoftmax[0.1]", "ScoreFunction")),
    ):
        problem = dataclasses.replace(SMALL, law=law)
        params, batch = ready(problem)
        for name in names:
            estimator = naming.parse(name, known)
            assert problem.refusal(estimator, problem.distribution(params, batch)) is None
            slope = jax.jit(jax.grad(problem.loss))(params, estimator, KEY, batch)
            assert np.isfinite(slope["logits"]).all() and np.abs(slope["logits"]).max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "parity"}, "task must be one of xor, orange, additive, switch"),
        ({"law": "Bernoulli"}, "law must be one of Subset, PlackettLuceSubset, Categorical"),
        ({"selector": "a"}, "Explain selector must be sizes"),
        ({"predictor": "0"}, "Explain predictor must be sizes"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Explain(**settings).check()
