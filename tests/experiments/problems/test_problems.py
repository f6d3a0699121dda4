"""The VAE against closed forms; its objectives; what holds for every problem."""

import dataclasses
import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    VIMCO,
    Bernoulli,
    Categorical,
    Estimator,
    Exact,
    GumbelSoftmax,
    MuProp,
    Normal,
    Pathwise,
    PlackettLuceSubset,
    ScoreFunction,
    StraightThrough,
    Subset,
    naming,
    pytree,
)
from experiments import problems
from experiments.measurement.moments import Sampler, flat
from experiments.measurement.point import check_groups
from experiments.problems import (
    VAE,
    Counts,
    Coupled,
    Polynomial,
    Quadratic,
    SimplexQuadratic,
    Subsets,
)
from experiments.running.user_code import parse_problem
from tests.experiments.helpers.problems import KEY, sigmoid

# The VAE ----------------------------------------------------------------------------------------

SMALL = {"size": 2, "classes": 3, "batch_size": 3}
DISCRETE = pytest.mark.parametrize("latent", ["Bernoulli", "Categorical"])
FORMS = ("analytic", "sampled", "sampled-no-score")


@functools.cache
def ready(problem):
    """Return parameters, away from their start, and a batch."""
    batch = problem.batch(KEY, problem.data())
    params = problem.measured_params(jax.jit(problem.initial)(KEY), batch)
    rng = np.random.default_rng(6)

    def moved(x):
        return jnp.asarray(np.asarray(x) + np.float32(0.1 * rng.normal(size=x.shape)))

    return jax.tree.map(moved, params), batch


@functools.cache
def exact_slopes(problem):
    """Return a function of parameters and batch: the exact loss and its gradient."""
    loss = jax.value_and_grad(lambda params, batch: problem.loss(params, Exact(), KEY, batch))
    return jax.jit(loss)


@functools.cache
def slopes(problem):
    """Return the exact loss and gradient of a form of the objective, in float64."""
    point = ready(VAE(problem.latent, **SMALL))  # one point for all forms; made in float32
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: np.asarray(x, np.float64), point)
        return jax.tree.map(np.asarray, exact_slopes(problem)(*wide))


def bound_by_hand(problem, params, batch):
    """Return the negative bound of a linear VAE in float64, state by state."""
    encoder, decoder = params["encoder"][0]["layers"][0], params["decoder"][0]["layers"][0]
    to_float64 = functools.partial(np.asarray, dtype=np.float64)
    batch = to_float64(batch)
    images = batch - problem.data().mean(0, dtype=np.float64)
    logits = images @ to_float64(encoder["kernel"]) + to_float64(encoder["bias"])
    logits = (logits + to_float64(params["logits"])).reshape(len(batch), *problem.event_shape)
    prior, binary = to_float64(params["prior"]), problem.latent == "Bernoulli"

    def probability(logits, state):
        if binary:
            return np.prod(np.where(state == 1, sigmoid(logits), 1 - sigmoid(logits)))
        odds = np.exp(logits)
        return np.prod(np.sum(state * odds / odds.sum(-1, keepdims=True), -1))

    choices = [0.0, 1.0] if binary else np.eye(problem.classes)
    states = [np.array(state) for state in itertools.product(choices, repeat=problem.size)]
    total = 0.0
    for x, own in zip(batch, logits, strict=True):
        for state in states:
            entered = 2 * state - 1 if binary else state.ravel()
            pixel = sigmoid(entered @ to_float64(decoder["kernel"]) + to_float64(decoder["bias"]))
            log_likelihood = np.sum(np.log(np.where(x == 1, pixel, 1 - pixel)))
            q, p = probability(own, state), probability(prior, state)
            total += q * (np.log(q) - np.log(p) - log_likelihood)
    return total / len(batch)


@DISCRETE
def test_vae_is_the_negative_bound(latent):
    problem = VAE(latent, **SMALL)
    expected = bound_by_hand(problem, *ready(problem))
    assert slopes(problem)[0] == pytest.approx(expected, rel=1e-9)


@DISCRETE
@pytest.mark.parametrize("form", [*FORMS[1:], "relaxed-density"])
def test_forms_have_one_exact_gradient(latent, form):
    value, gradient = slopes(VAE(latent, **SMALL))
    other_value, other = slopes(VAE(latent, kl=form, **SMALL))
    assert other_value == pytest.approx(value, rel=1e-9)
    scale = np.abs(flat(gradient)).max()
    np.testing.assert_allclose(flat(other), flat(gradient), rtol=1e-7, atol=1e-10 * scale)


@pytest.mark.first_cases(1)
@DISCRETE
def test_score_function_is_unbiased_in_every_form_and_group(latent):
    params, batch = ready(VAE(latent, **SMALL))
    noise = {}
    for form in FORMS:
        problem = VAE(latent, kl=form, **SMALL)
        truth = jax.tree.map(jnp.float32, slopes(problem)[1])

        def gradient(estimator, params, key, problem=problem):
            return jax.grad(problem.loss)(params, estimator, key, batch)

        (blocks,) = Sampler(gradient).draw(ScoreFunction(), params, KEY, 2**13, truth)
        variance = blocks.variance / blocks.count
        ends = np.cumsum([flat(part).size for part in truth.values()])[:-1]
        parts = zip(truth, np.split(blocks.offset, ends), np.split(variance, ends), strict=True)
        for group, offset, error in parts:
            if group == "prior" and form == "analytic":
                assert np.abs(offset).max() < 1e-6  # in closed form
                continue
            noisy = error > 0  # black pixels reach no encoder weight
            scores = offset[noisy] / np.sqrt(error[noisy])
            # The largest of 5,000 normal numbers passes 5.5 in one run of 5,000.
            assert np.abs(scores).max() < 5.5, (form, group)
            noise[form] = noise.get(form, 0) + blocks.variance.sum()
    # Why the form has a name: one mean, three variances.
    assert len({round(float(value), 3) for value in noise.values()}) == 3


@pytest.mark.first_cases(1)
@DISCRETE
def test_relaxed_density_is_its_formula(latent):
    problem = VAE(latent, kl="relaxed-density", prior_temperature=0.7, **SMALL)
    params, batch = ready(problem)
    temperature = 0.4

    def by_hand(params):
        total = 0.0
        logits = problem.encode(params, batch)
        for key, image, own in zip(jax.random.split(KEY, 3), batch, logits, strict=True):
            posterior = problem.layer.distribution(own)
            perturbed = posterior.logits + posterior.noise(key)
            if latent == "Bernoulli":
                x = perturbed / temperature
                y = jax.nn.sigmoid(x)

                def density(x, logits, t):
                    gap = t * x - logits
                    return jnp.sum(jnp.log(t) + gap - 2 * jnp.log1p(jnp.exp(gap)))

            else:
                x = jax.nn.log_softmax(perturbed / temperature)
                y = jnp.exp(x)

                def density(x, logits, t):
                    gap = logits - t * x
                    constant = math.log(2) + 2 * jnp.log(t)
                    each = jnp.sum(gap, -1) - 3 * jnp.log(jnp.sum(jnp.exp(gap), -1))
                    return jnp.sum(constant + each)

            divergence = density(x, posterior.logits, temperature)
            divergence -= density(x, params["prior"], 0.7)
            total += problem.reconstruction(params, image, y) + divergence
        return total / 3

    found = jax.jit(
        jax.value_and_grad(lambda p: problem.loss(p, GumbelSoftmax(temperature), KEY, batch))
    )(params)
    expected = jax.jit(jax.value_and_grad(by_hand))(params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), found, expected
    )


def test_relaxed_density_admits_only_what_has_one():
    problem = VAE(kl="relaxed-density", **SMALL)
    distribution = problem.distribution(*ready(problem))
    for estimator in (GumbelSoftmax(0.5), Exact()):
        assert problem.refusal(estimator, distribution) is None
    for estimator in (ScoreFunction(), StraightThrough()):
        assert "GumbelSoftmax" in problem.refusal(estimator, distribution)
    with pytest.raises(ValueError, match="for discrete latents"):
        VAE("Normal", kl="relaxed-density").check()


def test_relaxed_density_takes_any_estimator_that_relaxes():
    """A fact of its class, so that a user's own may state it."""

    @pytree
    class Concrete(Estimator):
        temperature: Any
        distributions = (Bernoulli,)
        relaxes = differentiates = True
        unbiased, paper = "no", ""
        examples = evaluations = estimate = GumbelSoftmax.estimate

    problem = VAE(kl="relaxed-density", **SMALL)
    params, batch = ready(problem)
    own, gumbel = Concrete(0.4), GumbelSoftmax(0.4)
    assert problem.refusal(own, problem.distribution(params, batch)) is None
    loss = jax.jit(problem.loss)
    assert loss(params, own, KEY, batch) == loss(params, gumbel, KEY, batch)


@pytest.mark.slow
def test_normal_latent_is_the_reference_point():
    # Pathwise and the score function estimate one gradient, and Pathwise far more quietly.
    problem = VAE("Normal", **SMALL)
    batch = problem.batch(KEY, problem.data())
    params = problem.measured_params(jax.jit(problem.initial)(KEY), batch)

    def gradient(estimator, params, key):
        chosen = problem.groups(params)["logits"]
        return jax.grad(lambda p: problem.loss(params | p, estimator, key, batch))(chosen)

    sampler = Sampler(gradient)
    (path,) = sampler.draw(Pathwise(), params, jax.random.key(7), 2**13)
    (score,) = sampler.draw(ScoreFunction(), params, jax.random.key(8), 2**16)
    error = np.sqrt(path.variance / path.count + score.variance / score.count)
    assert np.abs((path.mean - score.mean) / error).max() < 4
    # Not for want of a gradient.
    assert np.abs(score.mean / error).max() > 8
    assert path.variance.sum() < score.variance.sum() / 20
    assert problem.exact_loss(params, batch) is None
    assert isinstance(problem.distribution(params, batch), Normal)


def test_hidden_layers():
    problem = VAE("Categorical", hidden="4-4", **SMALL)
    params, batch = ready(problem)
    for group in ("encoder", "decoder"):
        kernels = [layer["kernel"].shape for layer in params[group][0]["layers"].values()]
        assert len(kernels) == 3 and kernels[0][1] == kernels[1][0] == kernels[1][1] == 4
    value, gradient = exact_slopes(problem)(params, batch)
    # Every array learns.
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0
    step = jax.tree.map(lambda p, g: p - 1e-4 * g, params, gradient)
    drop = 1e-4 * np.sum(flat(gradient) ** 2)
    assert value - exact_slopes(problem)(step, batch)[0] == pytest.approx(drop, rel=0.1)


def test_size_of_the_papers():
    shapes = jax.eval_shape(VAE(size=200).initial, KEY)
    assert (
        sum(leaf.size for leaf in jax.tree.leaves(shapes)) - shapes["prior"].size == 314_784 - 200
    )
    shapes = jax.eval_shape(VAE("Categorical", size=20, classes=10).initial, KEY)
    assert shapes["prior"].shape == (20, 10)


def test_batches_are_of_mnist():
    problem = VAE(batch_size=50)
    batch = np.asarray(problem.batch(KEY, problem.data()))
    assert batch.shape == (50, 784) and set(np.unique(batch)) == {0, 1}
    known = {image.tobytes() for image in problem.data()}
    assert all(image.astype(np.uint8).tobytes() in known for image in batch)
    other = np.asarray(problem.batch(jax.random.key(9), problem.data()))
    assert not np.array_equal(batch, other)
    # The decoder's bias starts at the pixels' log-odds, so it draws the mean image at first.
    params = jax.jit(problem.initial)(KEY)
    bias = np.asarray(params["decoder"][0]["layers"][0]["bias"])
    mean = np.clip(problem.data().mean(0), 0.001, 0.999)
    np.testing.assert_allclose(sigmoid(bias), mean, rtol=1e-4)


# Every problem ----------------------------------------------------------------------------------

VARIANTS = [
    *(cls() for cls in problems.ALL),
    Quadratic(target=0.499, logit=-1.0),
    Coupled(bits=3),
    SimplexQuadratic(classes=4, scale=0.25),
    Subsets(6, 2, "PlackettLuceSubset", draw=3),
    Polynomial(power=1.5, bits=7, latent="Categorical"),
    Counts(latent="ArrivalTimes"),
    Counts(latent="RelaxedCount", temperature=1.0, variables=1),
    VAE("Categorical", size=3, classes=4, hidden=4, kl="sampled-no-score", batch_size=2),
    VAE("Normal", prior_temperature=0.25),
    VAE(prior="autoregressive", pixels="autoregressive", kl="sampled"),
]


@pytest.mark.parametrize("problem", VARIANTS, ids=str)
def test_identity_is_read_back(problem):
    assert parse_problem(str(problem)) == problem
    assert type(parse_problem(str(problem))) is type(problem)


def test_identity_names_what_differs_from_the_default():
    assert str(VAE()) == "VAE"
    assert str(VAE(size=200, kl="sampled")) == "VAE[size=200,kl=sampled]"
    assert naming.parse("Quadratic[0.3]", {"Quadratic": Quadratic}) == Quadratic(0.3)


@pytest.mark.parametrize("problem", VARIANTS, ids=str)
def test_groups(problem):
    batch = problem.batch(KEY, problem.data())
    params = jax.eval_shape(lambda key: problem.measured_params(problem.initial(key), batch), KEY)
    assert check_groups(problem, params, None) == (problem.group,)
    assert check_groups(problem, params, "all") == ("all",)
    name = "log_rates" if isinstance(problem, Counts) else "logits"
    name = name if name in params else problem.group
    assert check_groups(problem, params, [name, "all", name]) == (name, "all")
    groups = problem.groups(params)
    assert list(groups[name]) == [name]
    # Of several layers, the logits of the first alone.
    above = {name for name in params if name.startswith("logits_")}
    assert groups["all"].keys() == params.keys() - above
    assert bool(above) == (getattr(problem, "depth", 1) > 1)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (VAE(size=0), "VAE size must be at least 1, not 0"),
        (VAE(classes=1), "VAE classes must be at least 2, not 1"),
        (VAE(hidden="4-x"), "hidden must be sizes such as 200 or 512-256, not '4-x'"),
        (VAE(depth=0), "VAE depth must be at least 1"),
        (VAE("Normal", depth=2), "depth is for discrete latents"),
        (VAE(dataset="SVHN"), "VAE dataset must be one of MNIST, FashionMNIST, Omniglot"),
        (VAE(binarisation="none"), "VAE binarisation must be one of threshold, fixed"),
        (VAE(activation="gelu"), "VAE activation must be one of tanh, relu"),
        (VAE(batch_size=0), "VAE batch_size must be at least 1"),
        (VAE(latent="Poisson"), "latent must be one of Bernoulli, Categorical, Normal"),
        (VAE(kl="exact"), "kl must be one of analytic, sampled"),
        (VAE(prior_temperature=0.0), "prior_temperature must be above zero"),
        (Coupled(bits=0), "Coupled bits must be at least 1"),
        (SimplexQuadratic(classes=1), "classes must be at least 2"),
        (Subsets(k=0), "Subsets k must be at least 1"),
        (Subsets(items=5), "Subsets k must be below the 5 items, not 5"),
        (Subsets(law="Bernoulli"), "law must be one of Subset, PlackettLuceSubset"),
        (Polynomial(bits=0), "bits must be at least 1"),
        (Polynomial(latent="Normal"), "latent must be one of Bernoulli, Categorical"),
    ],
)
def test_settings_out_of_range(problem, message):
    with pytest.raises(ValueError, match=message):
        problem.check()


def test_settings_are_compared():
    # What a run's identity is made of.
    for problem in VARIANTS:
        for field in dataclasses.fields(problem):
            value = getattr(problem, field.name)
            if isinstance(value, int | float):
                changed = dataclasses.replace(problem, **{field.name: value + 1})
                assert str(changed) != str(problem)


def test_distributions():
    for problem, family in (
        (Quadratic(), Bernoulli),
        (SimplexQuadratic(), Categorical),
        (Subsets(), Subset),
        (Subsets(law="PlackettLuceSubset"), PlackettLuceSubset),
        (Polynomial(latent="Categorical", bits=3), Categorical),
    ):
        assert isinstance(problem.distribution(problem.initial(KEY), None), family)


# The bound of several samples --------------------------------------------------------------------


def test_importance_weighted_bound():
    """Written out over all states of all samples; and its estimators see it as such."""
    problem = VAE(size=2, batch_size=2, kl="sampled", num_samples=2)
    params, batch = ready(problem)
    prior = sigmoid(params["prior"])
    states = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])

    @jax.jit
    def loss_and_parts(params, batch):
        misfit = jax.vmap(problem.reconstruction, (None, None, 0))
        misfit = jax.vmap(misfit, (None, 0, None))(params, batch, states)
        return problem.loss(params, Exact(), KEY, batch), problem.encode(params, batch), misfit

    found, *parts = jax.device_get(loss_and_parts(params, batch))
    expected = 0.0
    for logits, misfit in zip(*parts, strict=True):
        q = sigmoid(logits)
        chance = np.prod(np.where(states > 0, q, 1 - q), -1)
        log_prior = np.log(np.where(states > 0, prior, 1 - prior)).sum(-1)
        weights = log_prior - np.log(chance) - misfit
        pairs = np.logaddexp(weights[:, None], weights) - np.log(2)
        expected -= chance @ pairs @ chance / len(batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    distribution = jax.jit(problem.distribution)(params, batch)
    assert problem.refusal(VIMCO(), distribution) is None
    one = VAE(size=2)
    assert "multi-sample bound" in one.refusal(VIMCO(), jax.jit(one.distribution)(params, batch))
    # In evaluations of the log-weight, whatever f is to the estimator.
    counts = [problem.evaluations(e, distribution) for e in (VIMCO(), ScoreFunction(), MuProp())]
    assert counts == [2, 2, 4]
    with pytest.raises(ValueError, match="needs kl=sampled"):
        VAE(num_samples=2).check()
