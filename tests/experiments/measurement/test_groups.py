"""Moments of several groups of parameters from one draw, against the gradients one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import RELAX, DisARM, Exact, GumbelSoftmax, LeaveOneOut, ScoreFunction, stack
from experiments.measurement.moments import Sampler, sample_key
from experiments.measurement.point import check_groups, prepare
from experiments.problems import VAE, StructuredPrediction, joined
from experiments.statistics.blocks import NUM_BLOCKS
from experiments.system.errors import UsageError

KEY = jax.random.key(3)
PROBLEM = VAE(size=2, depth=2, batch_size=3)
PARTS = {
    "logits_1": lambda params: params["logits"],
    "logits_2": lambda params: params["logits_2"],
    "encoder_1": lambda params: params["encoder"][0],
    "encoder_2": lambda params: params["encoder"][1],
    "encoder": lambda params: params["encoder"],
    "decoder_2": lambda params: params["decoder"][1],
    "all": lambda params: {name: part for name, part in params.items() if name != "logits_2"},
}
COUNT = 64


@pytest.fixture(scope="module")
def point():
    devices = jax.devices()[:4]
    return prepare(PROBLEM, jax.random.key(0), group=list(PARTS), devices=devices)


def vectors(gradients):
    """Return `[N, P]` gradients of a group as float64."""
    leaves = jax.tree.leaves(gradients)
    return np.concatenate([np.asarray(leaf, np.float64).reshape(COUNT, -1) for leaf in leaves], -1)


def gradients(point, estimator):
    """Return N gradients with respect to every parameter, one by one."""

    def gradient(key):
        return jax.grad(lambda p: PROBLEM.loss(p, estimator, key, point.batch))(point.params)

    keys = jax.vmap(sample_key, (None, 0))(KEY, jnp.arange(COUNT))
    return jax.jit(lambda keys: jax.lax.map(gradient, keys))(keys)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    "estimator", [DisARM(), GumbelSoftmax(0.5), RELAX(0.5), ScoreFunction(LeaveOneOut(2))], ids=str
)
def test_each_has_the_moments_of_its_part(point, estimator):
    ready = point.ready(estimator, jax.random.key(1), 4).estimator
    drawn = point.draw_groups(ready, KEY, COUNT)
    every = gradients(point, ready)
    gradient = jax.jit(jax.grad(lambda p: PROBLEM.loss(p, Exact(), KEY, point.batch)))
    exact = gradient(point.params)
    assert point.groups == tuple(PARTS)
    for part, truth, (blocks,) in zip(PARTS.values(), point.truths, drawn, strict=True):
        samples = vectors(part(every))
        scale = np.abs(samples).max()
        np.testing.assert_allclose(blocks.mean, samples.mean(0), rtol=1e-4, atol=1e-5 * scale)
        expected = samples.var(0, ddof=1)
        np.testing.assert_allclose(blocks.variance, expected, rtol=1e-3, atol=1e-5 * scale**2)
        off = ((samples - blocks.centre) ** 2).sum(1).reshape(NUM_BLOCKS, -1)
        np.testing.assert_allclose(blocks.distances, off.sum(1), rtol=1e-4)
        true = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part(exact))])
        np.testing.assert_allclose(truth.mean, true, rtol=1e-4, atol=1e-5 * np.abs(true).max())
        lengths = np.linalg.norm(samples, axis=-1) * np.linalg.norm(true)
        cosines = (samples @ true / lengths).reshape(NUM_BLOCKS, -1).sum(1)
        np.testing.assert_allclose(blocks.cosines, cosines, rtol=1e-3, atol=1e-4)
    totals = {name: blocks.variance.sum() for name, (blocks,) in zip(PARTS, drawn, strict=True)}
    assert totals["encoder_1"] + totals["encoder_2"] == pytest.approx(totals["encoder"])


def test_all_has_the_variance_of_its_parts():
    names = ("logits", "encoder", "decoder", "prior", "all")
    own = prepare(PROBLEM, jax.random.key(0), group=names)
    *parts, (every,) = own.draw_groups(DisARM(), KEY, COUNT)
    total = sum(blocks.variance.sum() for (blocks,) in parts)
    assert every.variance.sum() == pytest.approx(total, rel=1e-6)
    assert "logits_2" not in own.params  # which no group needs


def test_a_group_alone_is_measured_as_with_others(point):
    alone = prepare(PROBLEM, jax.random.key(0), group="encoder_2")
    (found,) = alone.draw(DisARM(), KEY, COUNT)
    (expected,) = point.draw_groups(DisARM(), KEY, COUNT)[list(PARTS).index("encoder_2")]
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-5)


def test_members_of_a_stack_have_groups_too(point):
    members = [GumbelSoftmax(0.2), GumbelSoftmax(1.0)]
    stacked = point.draw_groups(stack(members), KEY, COUNT, stacked=True)
    for place, member in enumerate(members):
        alone = point.draw_groups(member, KEY, COUNT)
        for (expected,), found in zip(alone, stacked, strict=True):
            np.testing.assert_allclose(found[place].variance, expected.variance, rtol=1e-3)


def test_one_draw_computes_each_gradient_once():
    calls = []

    def gradient(scale, context, key):
        noise = jax.random.normal(key, (3,))
        jax.debug.callback(lambda _: calls.append(None), noise)
        return {"a": noise[:1], "b": scale * noise}

    sampler = Sampler(gradient, jax.devices()[:1], lambda tree: [tree, {"a": tree["a"]}, tree])
    assert len(sampler.draw_views(jnp.ones(()), None, KEY, COUNT)) == 3
    jax.effects_barrier()
    assert len(calls) == COUNT


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_centre_and_scale_are_those_of_each_view(dtype):
    # One part is far from its truth, and the squares of another leave the range of the type.
    small = 2.0**-13 if dtype == jnp.float16 else 2.0**-80

    def gradient(scale, context, key):
        noise = jax.random.normal(key, (2, 3))
        far = (scale * (20 + noise[0])).astype(dtype)
        return {"far": far, "small": (noise[1] * small).astype(dtype)}

    truth = {"far": jnp.zeros(3, dtype), "small": jnp.full(3, small, dtype)}

    def views(tree):
        return [{"small": tree["small"]}, {"far": tree["far"]}]

    arguments = jnp.ones(()), None, KEY, 16 * NUM_BLOCKS
    together = Sampler(gradient, jax.devices()[:2], views).draw_views(*arguments, truth)
    for place, (found,) in enumerate(together):
        sampler = Sampler(gradient, jax.devices()[:2], lambda tree, at=place: [views(tree)[at]])
        (expected,) = sampler.draw(*arguments, truth)
        for name in ("centre", "sums", "squares", "distances", "cosines", "powers"):
            one, other = getattr(found, name), getattr(expected, name)
            np.testing.assert_allclose(one, other, rtol=1e-5, err_msg=name)
    small_one, far = (found for (found,) in together)
    assert (far.centre > 10).all() and (small_one.variance > 0).all()


def test_sampled_truth_of_each():
    problem = VAE(size=30, batch_size=2)
    own = prepare(problem, KEY, group=("decoder", "logits", "all"), reference_samples=96)
    for truth in own.truths:
        assert truth.blocks.count == 96
        np.testing.assert_allclose(truth.mean, truth.blocks.mean, rtol=1e-4, atol=1e-6)
    logits = own.truths[1].mean
    np.testing.assert_array_equal(logits, np.ravel(own.centre["logits"]))


@pytest.mark.parametrize(
    "problem",
    [StructuredPrediction(size=2, depth=2, batch_size=3), VAE(size=2, depth=3, batch_size=2)],
    ids=str,
)
def test_logits_of_a_layer_are_its_bias_for_each_image(problem):
    # Added to the logits of an image, so their sum over images is the gradient of the bias.
    names = [f"logits_{1 + layer}" for layer in range(problem.depth)]
    names += [f"encoder_{1 + layer}" for layer in range(problem.depth)]
    own = prepare(problem, KEY, group=names)
    for logits, encoder in zip(names[: problem.depth], names[problem.depth :], strict=True):
        groups = problem.groups(own.centre)
        (added,) = jax.tree.leaves(groups[logits])
        (network,) = [one for one in groups[encoder]["encoder"] if jax.tree.leaves(one)]
        bias = network["layers"][0]["bias"]
        np.testing.assert_allclose(added.sum(0), bias, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kl", ["sampled", "sampled-no-score"])
@pytest.mark.parametrize("num_samples", [1, 2])
def test_bounds_have_logits_of_each_layer(kl, num_samples):
    if (kl, num_samples) == ("sampled-no-score", 2):
        pytest.skip("a bound needs kl=sampled")
    problem = VAE(size=2, depth=2, batch_size=2, kl=kl, num_samples=num_samples)
    own = prepare(problem, KEY, group=("logits_2", "encoder_2"))
    added, encoder = (problem.groups(own.centre)[name] for name in own.groups)
    bias = encoder["encoder"][1]["layers"][0]["bias"]
    np.testing.assert_allclose(added["logits_2"].sum(0), bias, rtol=1e-4, atol=1e-6)


def test_joined_parts_are_the_whole():
    params = {"a": [jnp.ones(2), {"b": jnp.zeros(1), "c": jnp.ones(3)}], "d": jnp.ones(())}
    groups = PROBLEM.groups(params)
    assert list(groups) == ["a", "a_1", "a_2", "d", "all"]
    assert jax.tree.leaves(groups["a_1"]) == [params["a"][0]]
    whole = joined(joined(groups["a_2"], groups["d"]), groups["a_1"])
    assert jax.tree.structure(whole) == jax.tree.structure(params)
    other = jax.tree.map(lambda leaf: leaf + 1, groups["a_2"])
    changed = joined(params, other)
    np.testing.assert_array_equal(changed["a"][1]["c"], 2 * np.ones(3))
    np.testing.assert_array_equal(changed["a"][0], np.ones(2))


def test_an_unknown_group_is_refused_with_the_nearest():
    params = {"encoder": [0, 0], "decoder": 0}
    with pytest.raises(UsageError, match=r"no group 'encodr_2' \(did you mean 'encoder_2'\?\)"):
        check_groups(PROBLEM, params, ["decoder", "encodr_2"])
    assert check_groups(PROBLEM, params, ["decoder", "all", "decoder"]) == ("decoder", "all")
