"""The semi-supervised model against sums over its classes that are written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from estimators import (
    VIMCO,
    Categorical,
    Exact,
    GumbelSoftmax,
    LeaveOneOut,
    Normal,
    ScoreFunction,
    StraightThrough,
)
from experiments.data import load
from experiments.measurement.moments import flat
from experiments.problems import SemiSupervised
from experiments.problems import semi_supervised_networks as module
from experiments.system.errors import UsageError
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE

KEY = jax.random.key(3)
SMALL = {"network": "dense", "size": 2, "batch_size": 3, "labelled_batch_size": 2}
PROBLEM = SemiSupervised(**SMALL)
fast = functools.partial(jax.jit, compiler_options=FAST_TO_COMPILE)


@functools.cache
def data(problem=PROBLEM):
    return problem.data()


@functools.cache
def ready(problem):
    """Return parameters, all of them away from zero, and a batch."""
    batch = fast(problem.batch)(KEY, data(problem))
    shapes = jax.eval_shape(lambda key: problem.measured_params(problem.initial(key), batch), KEY)
    rng = np.random.default_rng(6)
    return jax.tree.map(
        # In one type, whatever asks for it first.
        lambda x: jnp.asarray(0.1 * rng.normal(size=x.shape), jnp.float32),
        shapes,
    ), batch


def in_float64(problem):
    return jax.tree.map(
        lambda x: np.asarray(x, np.float64 if x.dtype == np.float32 else None), ready(problem)
    )


def gradients(problem):
    """Return `gradient(estimator, params, key)` on the problem's batch."""
    batch = ready(problem)[1]

    def gradient(estimator, params, key):
        return jax.grad(problem.loss)(params, estimator, key, batch)

    return gradient


# The loss ---------------------------------------------------------------------------------------


def linear(network):
    """Return the affine map of a dense network without hidden layers."""
    layer = network["layers"]["layers"][0]
    return lambda *inputs: np.concatenate(inputs) @ layer["kernel"] + layer["bias"]


def log_softmax(logits):
    return logits - np.log(np.sum(np.exp(logits)))


def loss_by_hand(problem, params, key, batch):
    """Return the loss in float64, class by class, at the noise of z that the key gives."""
    classify, encode, decode = (linear(params[n]) for n in ("classifier", "encoder", "decoder"))
    mean = np.float64(load("MNIST", "train").images.reshape(-1, 784).mean(0)) / 255
    clipped = np.clip(mean, 0.001, 0.999)
    classes = np.eye(problem.classes)

    def bound(key, x, y):
        m, s = np.split(encode(x - mean, y), 2)
        zero = jnp.zeros(problem.size)
        z = m + np.exp(s) * np.asarray(Normal(zero, zero).sample(key))
        p = 1 / (1 + np.exp(-decode(y, z)) * (1 - clipped) / clipped)
        divergence = np.sum(np.exp(2 * s) + m**2 - 1 - 2 * s) / 2
        return -np.sum(np.log(np.where(x == 1, p, 1 - p))) + divergence - np.log(1 / len(classes))

    first, second = jax.random.split(key)
    labelled, unlabelled = [], []
    keys = jax.random.split(first, len(batch["images"]))
    for key, x, label in zip(keys, batch["images"], batch["labels"], strict=True):
        log_q = log_softmax(classify(x - mean))
        labelled.append(bound(key, x, classes[label]) - problem.alpha * log_q[label])
    keys = jax.random.split(second, len(batch["unlabelled"]))
    for key, x, own in zip(keys, batch["unlabelled"], params["logits"], strict=True):
        log_q = log_softmax(classify(x - mean) + own)
        style_key = jax.random.split(key)[1]
        values = [bound(style_key, x, y) for y in classes]
        unlabelled.append(np.exp(log_q) @ (values + log_q))
    return np.mean(labelled) + np.mean(unlabelled)


def test_loss_is_the_sum_over_classes():
    # Two of them without labels.
    problem = SemiSupervised(classes=12, alpha=0.3, **SMALL)
    with jax.enable_x64(True):
        params, batch = in_float64(problem)
        found = fast(lambda *args: problem.loss(args[0], Exact(), *args[1:]))(params, KEY, batch)
        expected = loss_by_hand(problem, params, KEY, batch)
    assert found.dtype == np.float64
    # The mean image is kept in float32.
    assert float(found) == pytest.approx(expected, rel=1e-7)


# Its gradients ----------------------------------------------------------------------------------


ESTIMATORS = ScoreFunction(LeaveOneOut(2)), StraightThrough()


def largest_scores():
    """Return by how many standard errors the estimators' mean gradients are off, at most.

    The same key has the same noise of z whatever estimates the expectation over y: of the
    difference to `Exact`, at the same key, only the noise of y is left.
    """
    params, _ = ready(PROBLEM)
    gradient = gradients(PROBLEM)
    rng = np.random.default_rng(8)
    groups = "classifier", "encoder", "decoder"
    sizes = [flat(params[group]).size for group in groups]
    directions = [jnp.asarray(rng.normal(size=(4, n)) / np.sqrt(n), jnp.float32) for n in sizes]

    def seen(gradient):
        arrays = [jax.tree.leaves(gradient[group]) for group in groups]
        flattened = [jnp.concatenate([jnp.ravel(part) for part in parts]) for parts in arrays]
        projected = [a @ b for a, b in zip(directions, flattened, strict=True)]
        return jnp.concatenate([gradient["logits"].ravel(), *projected])

    def differences(key):
        exact = seen(gradient(Exact(), params, key))
        return [seen(gradient(estimator, params, key)) - exact for estimator in ESTIMATORS]

    keys = jax.random.split(jax.random.key(9), 2**10)
    draws = fast(lambda keys: jax.lax.map(differences, keys, batch_size=32))(keys)
    means, errors = zip(*((d.mean(0), d.std(0) / np.sqrt(len(d))) for d in draws), strict=True)
    assert np.min(errors) > 0
    return np.abs(np.divide(means, errors)).max(-1)


@pytest.mark.slow
def test_score_function_agrees_with_the_sum():
    score_function, straight_through = largest_scores()
    assert score_function < 4
    # As a biased one does not.
    assert straight_through > 10


def test_relaxed_loss_is_differentiated_through_every_input():
    with jax.enable_x64(True):
        params, batch = in_float64(PROBLEM)
        value_and_grad = jax.value_and_grad(PROBLEM.loss)
        both = fast(lambda params: value_and_grad(params, GumbelSoftmax(0.5), KEY, batch))
        _, slope = both(params)
        rng = np.random.default_rng(2)
        for group in params:
            way = jax.tree.map(lambda x: 1e-5 * rng.normal(size=x.shape), params[group])
            ends = (
                jax.tree.map(lambda x, d, sign=sign: x + sign * d, params[group], way)
                for sign in (1, -1)
            )
            up, down = (float(both(params | {group: end})[0]) for end in ends)
            expected = sum(map(np.vdot, jax.tree.leaves(slope[group]), jax.tree.leaves(way)))
            assert (up - down) / 2 == pytest.approx(expected, rel=1e-5)


def test_every_image_has_noise_of_its_own():
    problem = SemiSupervised(**(SMALL | {"batch_size": 8}))
    params, batch = ready(problem)
    params = problem.measured_params(params, batch)
    batch = batch | {"unlabelled": jnp.broadcast_to(batch["unlabelled"][:1], (8, 784))}
    # Of noise in z nothing is left where its scale is tiny.
    layer = params["encoder"]["layers"]["layers"][0]
    quiet = {"layers": {"layers": {0: layer | {"bias": jnp.array([0.0, 0.0, -40.0, -40.0])}}}}

    @fast
    def rows(estimator, params):
        return jax.grad(problem.loss)(params, estimator, KEY, batch)["logits"]

    scale = jnp.abs(rows(Exact(), params)).max()

    def differ(found):
        return np.ptp(found, axis=0).max() > 1e-3 * scale

    assert differ(rows(Exact(), params))
    assert not differ(rows(Exact(), params | {"encoder": quiet}))
    assert differ(rows(ScoreFunction(), params | {"encoder": quiet}))


def test_no_key_is_used_twice():
    params, batch = ready(PROBLEM)
    example = batch["images"][0], batch["labels"][0]

    def use(keys):
        return (
            PROBLEM.batch(keys[0], batch),
            PROBLEM.loss(params, ScoreFunction(), keys[1], batch),
            PROBLEM.log_weight(params, keys[2], example),
            PROBLEM.examples(keys[3], batch),
        )

    with jax.debug_key_reuse(True):
        fast(use)(jax.random.split(jax.random.key(4), 4))


def test_steps_along_the_exact_gradient_lower_the_loss():
    params, batch = fast(PROBLEM.initial)(KEY), ready(PROBLEM)[1]
    optimiser = optax.adam(3e-2)

    @fast
    def step(params, state):
        value, slope = jax.value_and_grad(PROBLEM.loss)(params, Exact(), KEY, batch)
        update, state = optimiser.update(slope, state)
        return optax.apply_updates(params, update), state, value

    state, values = optimiser.init(params), []
    for _ in range(20):
        params, state, value = step(params, state)
        values.append(value)
    assert values[-1] < values[0] - 100


# The bound that is evaluated --------------------------------------------------------------------


def test_mean_log_weight_is_the_bound():
    params, batch = ready(PROBLEM)
    image, label = batch["images"][0], batch["labels"][0]
    posterior = Categorical(PROBLEM.classify(params, image)[None])

    def bound(key):
        mean = Exact()(key, posterior, lambda y: PROBLEM.bound(params, key, image, y[0]))
        return -mean - jnp.log(10.0) + posterior.entropy()

    def weight(key):
        return PROBLEM.log_weight(params, key, (image, label))

    draws = [
        np.asarray(fast(jax.vmap(f))(jax.random.split(jax.random.key(i), 2**12)), np.float64)
        for i, f in enumerate((bound, weight))
    ]
    error = np.sqrt(sum(draw.var() / draw.size for draw in draws))
    assert abs(draws[0].mean() - draws[1].mean()) < 4 * error
    # The weights are of hard samples of both variables, so the noisier of the two.
    assert error < 0.5 and draws[1].var() > draws[0].var()


def test_accuracy():
    params, _ = ready(PROBLEM)
    images, labels = PROBLEM.examples(KEY, jax.tree.map(lambda x: x[:50], PROBLEM.data("test")))
    assert images.shape == (50, 784) and set(np.unique(images)) == {0, 1}
    np.testing.assert_array_equal(labels, load("MNIST", "test").labels[:50])
    score = fast(jax.vmap(PROBLEM.example_scores, (None, 0)))
    kernel, bias = jnp.zeros((784, 10)), jnp.zeros(10).at[7].set(1.0)
    constant = {"layers": {"layers": {0: {"kernel": kernel, "bias": bias}}}}
    found = score(params | {"classifier": constant}, (images, labels))["accuracy"]
    np.testing.assert_array_equal(found, labels == 7)


def test_analogies():
    params, batch = ready(PROBLEM)
    found = PROBLEM.pictures(params, KEY, (batch["unlabelled"], None))["analogies"]
    assert found.shape == (3, 10, 28, 28)
    logits = PROBLEM.classify(params, batch["unlabelled"][1])
    style = PROBLEM.style(params, batch["unlabelled"][1], jax.nn.one_hot(logits.argmax(), 10))
    pixel = jax.nn.sigmoid(PROBLEM.pixel_logits(params, jnp.eye(10)[4], style.mean))
    np.testing.assert_allclose(found[1, 4].ravel(), pixel, rtol=1e-5)


# The data ---------------------------------------------------------------------------------------


def test_labels_are_few_and_balanced():
    images, labels = load("MNIST", "train")
    label = {x.tobytes(): y for x, y in zip(images, labels, strict=True)}
    split = data()
    assert np.bincount(split["labels"]).tolist() == [10] * 10
    assert [label[x.tobytes()] for x in split["images"]] == split["labels"].tolist()
    rest = {x.tobytes() for x in split["unlabelled"]}
    assert len(split["unlabelled"]) == 49_900 and len(rest) == len(label) - 100
    assert rest.isdisjoint(x.tobytes() for x in split["images"])
    # A byte would hold no more than 256 classes.
    assert split["labels"].dtype == np.int32
    np.testing.assert_array_equal(SemiSupervised().data()["images"], split["images"])
    assert len(SemiSupervised(num_labelled=45_050).data()["unlabelled"]) == 4_950
    with pytest.raises(UsageError, match="no image of class 5 unlabelled: .* 4,506 are"):
        SemiSupervised(num_labelled=45_060).data()
    for name in ("validation", "test"):
        held_out = PROBLEM.data(name)
        assert held_out["images"].shape == (10_000, 784)
        np.testing.assert_array_equal(held_out["labels"], load("MNIST", name).labels)


def test_minibatches():
    problem = SemiSupervised(binarisation="threshold", labelled_batch_size=50, batch_size=60)
    split = problem.data()
    batch = fast(problem.batch)(KEY, split)
    assert batch["unlabelled"].shape == (60, 784)
    known = {x.tobytes(): y for x, y in zip(split["images"], split["labels"], strict=True)}
    images = np.asarray(batch["images"], np.uint8)
    assert [known[x.tobytes()] for x in images] == batch["labels"].tolist()
    others = {x.tobytes() for x in split["unlabelled"]}
    assert all(x.tobytes() in others for x in np.asarray(batch["unlabelled"], np.uint8))
    # Grey images are drawn anew, labelled ones too.
    first, second = (fast(PROBLEM.batch)(key, data()) for key in jax.random.split(KEY))
    for name in ("images", "unlabelled"):
        assert set(np.unique(first[name])) == {0, 1}
        assert not np.array_equal(first[name], second[name])


# The networks -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_array_of_the_convolutional_networks_learns():
    problem = SemiSupervised(classes=11, size=3, batch_size=2, labelled_batch_size=2)
    params, batch = ready(problem)
    assert problem.classify(params, batch["images"]).shape == (2, 11)
    gradient = fast(gradients(problem))
    slope = gradient(GumbelSoftmax(0.5), params, KEY)
    for leaf in jax.tree.leaves(slope):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("side", [28, 7])
def test_products_with_patches_are_convolutions(side):
    rng = np.random.default_rng(1)
    half = -(-side // 2)
    x, y, w = (
        jnp.asarray(rng.normal(size=shape), jnp.float32)
        for shape in ((2, side, side, 3), (2, half, half, 4), (3, 3, 3, 4))
    )

    def convolution(x):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=numbers)

    expected, transposed = jax.vjp(convolution, x)
    kernel = w.reshape(27, 4)
    np.testing.assert_allclose(module._patches(x) @ kernel, expected, rtol=1e-4, atol=1e-4)
    found = module._overlapped(y @ kernel.T, side)
    np.testing.assert_allclose(found, transposed(y)[0], rtol=1e-4, atol=1e-4)


# As a problem -----------------------------------------------------------------------------------


def test_names_and_facts():
    params, batch = ready(PROBLEM)
    distribution = PROBLEM.distribution(params, batch)
    assert isinstance(distribution, Categorical) and distribution.event_shape == (1, 10)
    np.testing.assert_allclose(
        distribution.logits[0], PROBLEM.classify(params, batch["unlabelled"])[0], atol=1e-4
    )
    assert PROBLEM.evaluations(Exact(), distribution) == 10
    # Its noise of z is left.
    assert PROBLEM.exact_loss(params, batch) is None
    assert PROBLEM.refusal(Exact(), distribution) is None
    assert "multi-sample bound" in PROBLEM.refusal(VIMCO(), distribution)
    assert PROBLEM.objective == "alpha=0.1" and PROBLEM.group in params
    assert PROBLEM.about_data.endswith("every minibatch), 100 labels")
    assert str(SemiSupervised(classes=100)) == "SemiSupervised[classes=100]"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_labelled": 105}, "num_labelled must be a multiple of 10.*, not 105"),
        ({"num_labelled": 0}, "num_labelled must be at least 10, not 0"),
        ({"classes": 9}, "classes must be at least 10, not 9"),
        ({"size": 0}, "size must be at least 1"),
        ({"alpha": -0.1}, "alpha must be at least 0"),
        ({"labelled_batch_size": 0}, "labelled_batch_size must be at least 1"),
        ({"batch_size": 0}, "SemiSupervised batch_size must be at least 1"),
        ({"network": "recurrent"}, "network must be one of convolutional, dense"),
        ({"hidden": 200}, "hidden is for network=dense"),
        ({"network": "dense", "hidden": "a"}, "hidden must be sizes"),
        ({"dataset": "Omniglot"}, "needs labels of ten classes"),
        ({"binarisation": "published"}, "needs labels of ten classes"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        SemiSupervised(**settings).check()
    SemiSupervised().check()
