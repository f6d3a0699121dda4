"""The mixture of experts against sums over its choices that are written out."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import SIMPLE, Exact, ReinMax, ScoreFunction
from experiments.problems import Experts
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE

KEY = jax.random.key(3)
SMALL = {"experts": 4, "hidden": 2, "batch_size": 3}
ROUTERS = ("sampled", "sampled-weighted", "softmax-weighted")
PROBLEMS = [
    Experts(router=router, top=top, load_weight=weight, **SMALL)
    for (router, top), weight in zip(
        itertools.product(ROUTERS, (1, 2)), (0.0, 0.5, 0.0, 0.0, 0.3, 0.0), strict=True
    )
]
every = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
fast = functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)


@functools.cache
def ready():
    """Return parameters that are not small, and a batch, both in float64."""
    problem = Experts(**SMALL)
    batch = fast(problem.batch)(KEY, problem.data())
    shapes = jax.eval_shape(lambda key: problem.measured_params(problem.initial(key), batch), KEY)
    rng = np.random.default_rng(6)
    params = jax.tree.map(lambda x: 0.3 * rng.normal(size=x.shape), shapes)
    return params, {
        "images": np.asarray(batch["images"], np.float64),
        "labels": np.asarray(batch["labels"]),
    }


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def by_hand(problem, params, batch):
    """Return logits `[N, K]`, outputs `[N, K, 10]` and choices `[S, K]` with all their parts."""
    router = params["router"]["layers"][0]
    logits = batch["images"] @ router["kernel"] + router["bias"]
    first, second = (params["experts"]["layers"][i] for i in (0, 1))
    outputs = np.stack(
        [
            np.tanh(batch["images"] @ first["kernel"][k] + first["bias"][k]) @ second["kernel"][k]
            + second["bias"][k]
            for k in range(problem.experts)
        ],
        axis=1,
    )
    subsets = itertools.combinations(range(problem.experts), problem.top)
    choices = [np.eye(problem.experts)[list(chosen)].sum(0) for chosen in subsets]
    return logits, outputs, np.array(choices)


def loss_by_hand(problem, params, batch):
    own, outputs, choices = by_hand(problem, params, batch)
    logits = own + params["logits"]
    total, shares = 0.0, np.zeros(problem.experts)
    for x, o, label in zip(logits, outputs, batch["labels"], strict=True):
        likeliest = choices[np.argmax(choices @ x)]
        shares += likeliest / len(logits) / problem.top
        chance = softmax(choices @ x)
        if problem.router == "softmax-weighted":
            chance = (choices @ likeliest == problem.top).astype(float)
        for z, p in zip(choices, chance, strict=True):
            weight = z / problem.top if problem.router == "sampled" else z * softmax(x)
            total -= p * np.log(softmax(weight @ o)[label]) / len(logits)
    mean = np.mean([softmax(x) for x in logits], 0)
    return total + problem.load_weight * problem.experts * shares @ mean


@every
def test_exact_loss_and_its_gradient(problem):
    params, batch = ready()
    with jax.enable_x64(True):
        found = fast(jax.value_and_grad(problem.exact_loss))
        value, slope = found(params, batch)
    assert value.dtype == np.float64
    assert float(value) == pytest.approx(loss_by_hand(problem, params, batch), rel=1e-9)
    rng = np.random.default_rng(2)
    for group in ("router", "experts", "logits"):
        way = jax.tree.map(lambda x: 1e-5 * rng.normal(size=x.shape), params[group])
        up, down = (
            loss_by_hand(
                problem,
                params | {group: jax.tree.map(lambda x, d, s=s: x + s * d, params[group], way)},
                batch,
            )
            for s in (1, -1)
        )
        expected = sum(map(np.vdot, jax.tree.leaves(slope[group]), jax.tree.leaves(way)))
        assert (up - down) / 2 == pytest.approx(float(expected), rel=1e-5)


def test_the_softmax_weighted_router_draws_nothing():
    params, batch = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x, "int32")), ready())
    for top, estimators in ((1, (ReinMax(), ScoreFunction())), (2, (SIMPLE(), ScoreFunction()))):
        problem = Experts(router="softmax-weighted", top=top, **SMALL)

        @fast
        def gradient(estimator, key, problem=problem):
            return jax.grad(problem.loss)(params, estimator, key, batch)

        truth = gradient(Exact(), KEY)
        assert np.abs(truth["logits"]).max() > 1e-3
        for estimator in estimators:
            found = gradient(estimator, jax.random.key(8))
            for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(truth), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("top", [1, 2])
def test_scores_are_those_of_the_hard_model(top):
    problem = Experts(**SMALL, top=top)
    params, _ = ready()
    data = jax.tree.map(lambda array: array[:500], problem.data("test"))
    images = np.asarray(data["images"], np.float64) / 255
    logits, outputs, choices = by_hand(problem, params, {"images": images})
    best = np.array([choices[np.argmax(choices @ x)] for x in logits])
    classes = np.einsum("nk,nkc->nc", best, outputs).argmax(-1)
    load = best.mean(0) / top
    found = fast(problem.scores)(params, KEY, data)
    assert found["error"] == pytest.approx(np.mean(classes != data["labels"]), abs=2.1e-3)
    positive = load[load > 0]
    assert found["usage"] == pytest.approx(
        np.exp(-positive @ np.log(positive)) / problem.experts, rel=1e-2
    )
    assert found["idle"] == np.mean(load < 0.01)


def test_an_even_load_costs_least():
    problem = Experts(**SMALL)
    even = jnp.asarray(20 * np.eye(4), jnp.float32)
    one = jnp.asarray(20 * np.eye(4)[[0, 0, 0, 0]], jnp.float32)
    assert problem.load_loss(even) == pytest.approx(1) and problem.load_loss(one) > 3.9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"experts": 1}, "Experts experts must be at least 2"),
        ({"top": 0}, "Experts top must be at least 1"),
        ({"top": 8}, "Experts top must be below the 8 experts"),
        ({"hidden": 0}, "Experts hidden must be at least 1"),
        ({"router": "soft"}, "Experts router must be one of sampled"),
        ({"load_weight": -1.0}, "Experts load_weight"),
        ({"dataset": "Omniglot"}, "Experts dataset must be one of MNIST, FashionMNIST"),
        ({"batch_size": 0}, "Experts batch_size"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Experts(), **wrong).check()
