"""Gates on a classifier's units, against sums and networks written out in numpy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import DisARM, Exact, Pathwise
from experiments.problems import Gates
from tests.experiments.helpers.problems import KEY, sigmoid

SMALL = Gates(hidden="3-2", batch_size=4, penalty=1e-3)


@pytest.fixture(scope="module")
def ready():
    """Return parameters away from their start, with logits of the gates, and a batch."""
    rng = np.random.default_rng(0)
    batch = SMALL.batch(KEY, SMALL.data())
    params = SMALL.measured_params(jax.jit(SMALL.initial)(KEY), batch)
    params = jax.tree.map(lambda x: x + np.float32(0.1 * rng.normal(size=x.shape)), params)
    for layer in params["network"][:-1]:  # no unit is off
        layer["layers"][0]["bias"] += 3.0
    return params, batch


def wide(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def log_likelihoods(params, gates, images, labels):
    """Of each image, the network with gates written out."""
    units, gates = images, list(np.split(gates, [3]))
    for level, layer in enumerate(params["network"]):
        if level:
            units = np.maximum(units, 0) * gates[level - 1]
        units = units @ layer["layers"][0]["kernel"] + layer["layers"][0]["bias"]
    logs = units - np.log(np.exp(units).sum(-1, keepdims=True))
    return logs[np.arange(len(labels)), labels]


def loss_by_hand(params, batch):
    params, (images, labels) = wide(params), batch
    images, labels = np.asarray(images, np.float64), np.asarray(labels)
    chances = sigmoid(7 * params["gates"] + params["logits"])
    total = 1e-3 * chances @ [2, 2, 2, 10, 10]
    for bits in itertools.product([0.0, 1.0], repeat=5):
        gates = np.array(bits)
        chance = np.prod(np.where(gates == 1, chances, 1 - chances))
        total -= chance * log_likelihoods(params, gates, images, labels).mean()
    return total


@pytest.mark.parametrize("shared", [True, False])
def test_the_loss_is_the_sum_over_masks(ready, shared):
    params, batch = ready
    problem = Gates(**{**vars(SMALL), "shared": shared})
    loss = jax.jit(lambda params: problem.loss(params, Exact(), KEY, batch))
    assert loss(params) == pytest.approx(loss_by_hand(params, batch), rel=1e-5)
    assert problem.exact_loss(params, batch) == pytest.approx(float(loss(params)), rel=1e-6)


def test_the_gradient_is_that_of_the_sum(ready):
    params, batch = ready
    slope = jax.jit(jax.grad(lambda params: SMALL.exact_loss(params, batch)))(params)
    for name, places in (("logits", [(0,), (4,)]), ("gates", [(2,)])):
        for place in places:
            ends = []
            for step in (1e-5, -1e-5):
                moved = wide(params)
                moved[name][place] += step
                ends.append(loss_by_hand(moved, batch))
            assert slope[name][place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3)
    kernel = slope["network"][1]["layers"][0]["kernel"]
    assert np.abs(kernel).min() > 1e-4


@pytest.mark.parametrize("shared", [True, False])
def test_estimators_have_the_exact_mean(ready, shared):
    params, batch = ready
    problem = Gates(**{**vars(SMALL), "shared": shared})

    def slope(estimator, key):
        def loss(logits):
            return problem.loss(params | {"logits": logits}, estimator, key, batch)

        return jax.grad(loss)(params["logits"])

    truth = jax.jit(lambda: slope(Exact(), KEY))()
    keys = jax.random.split(jax.random.key(1), 4096)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: slope(DisARM(), key)))(keys))
    error = drawn.std(0) / np.sqrt(len(keys))
    assert (np.abs(drawn.mean(0) - truth) < 4.5 * error).all()
    assert (error > 0).all()


def test_hard_concrete_gates_have_their_own_law_and_penalty():
    problem = Gates(law="HardConcrete", hidden=4, batch_size=3, penalty=0.1)
    batch = problem.batch(KEY, problem.data())
    params = problem.initial(KEY)
    assert problem.exact_loss(params, batch) is None
    value = jax.jit(lambda: problem.loss(params, Pathwise(), KEY, batch))()
    free = jax.jit(
        lambda: Gates(**{**vars(problem), "penalty": 0.0}).loss(params, Pathwise(), KEY, batch)
    )()
    odds = 7 * np.asarray(params["gates"], np.float64)
    open_chance = sigmoid(odds - 2 / 3 * np.log(0.1 / 1.1))
    assert float(value - free) == pytest.approx(0.1 * 10 * open_chance.sum(), rel=1e-5)
    slope = jax.jit(jax.grad(lambda p: problem.loss(p, Pathwise(), KEY, batch)))(params)
    assert np.isfinite(slope["gates"]).all()


@pytest.mark.parametrize("law", ["Bernoulli", "HardConcrete"])
def test_scores_are_those_of_the_pruned_network(law):
    """Twelve pixels are open, and two of three units."""
    problem = Gates(law=law, hidden=3, gated="all")
    data = tuple(part[:200] for part in problem.data("test"))
    params = problem.initial(KEY)
    gates = np.full(787, -3.0, np.float32)
    gates[[*range(400, 412), 784, 786]] = 3.0
    params["gates"] = jnp.asarray(gates)
    found = jax.jit(problem.scores)(params, KEY, data)
    assert found["kept"] == 14
    assert found["weights"] == pytest.approx((12 * 2 + 2 * 10) / (784 * 3 + 3 * 10))
    images, labels = data[0] / 255, data[1]
    first, last = (one["layers"][0] for one in wide(params["network"]))
    units = (images * (gates[:784] > 0)) @ first["kernel"] + first["bias"]
    units = np.maximum(units, 0) * (gates[784:] > 0) @ last["kernel"] + last["bias"]
    assert found["error"] == pytest.approx(np.mean(units.argmax(-1) != labels), abs=1e-6)


def test_shapes_of_lenet():
    problem = Gates(hidden="300-100", gated="all")
    shapes = jax.eval_shape(problem.initial, KEY)
    assert shapes["gates"].shape == (1184,)
    assert problem.fan_out.sum() == 784 * 300 + 300 * 100 + 100 * 10
    chances = sigmoid(7 * np.asarray(problem.initial(KEY)["gates"]))
    assert chances[:784] == pytest.approx(0.8, abs=0.01)
    assert chances[784:] == pytest.approx(0.5, abs=0.02)


def test_the_bound_is_the_mean_log_likelihood_of_drawn_gates(ready):
    params, (images, labels) = ready
    keys = jax.random.split(KEY, 2048)
    drawn = jax.jit(jax.vmap(lambda key: SMALL.log_weight(params, key, (images[0], labels[0]))))(
        keys
    )
    loss = jax.jit(
        lambda: Gates(**{**vars(SMALL), "penalty": 0.0}).loss(
            params, Exact(), KEY, (images[:1], labels[:1])
        )
    )()
    drawn = np.asarray(drawn, np.float64)
    assert abs(drawn.mean() + float(loss)) < 4.5 * drawn.std() / np.sqrt(len(drawn))


def test_estimators_of_bits_refuse_hard_concrete_gates():
    law = Gates(law="HardConcrete").distribution(SMALL.initial(KEY), None)
    assert SMALL.refusal(DisARM(), law)
    assert SMALL.refusal(Pathwise(), law) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"law": "Normal"}, "law must be one of Bernoulli, HardConcrete"),
        ({"gated": "none"}, "gated must be one of units, all"),
        ({"shared": "no"}, "shared must be one of"),
        ({"hidden": ""}, "hidden must be sizes such as 12"),
        ({"hidden": "a"}, "hidden must be sizes such as 200"),
        ({"penalty": -1.0}, "penalty must be"),
        ({"sharpness": 0.0}, "sharpness must be above zero"),
        ({"dataset": "Omniglot"}, "labels of ten classes"),
        ({"binarisation": "published"}, "labels of ten classes"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Gates(**settings).check()
