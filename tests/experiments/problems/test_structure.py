"""Where structure makes the variance exact: the encoder's, from that of the logits.

With independent noise per image, the gradient of a linear encoder's weights is the sum over images
of the (centred) image times the gradient with respect to its logits. So their variances are too:
Var(W) = sum_n x_n^2 Var(g_n).
"""

import functools

import jax
import numpy as np
import pytest

from estimators import ScoreFunction, StraightThrough
from experiments.measurement.moments import Sampler
from experiments.problems import VAE

PROBLEM = VAE(size=2, batch_size=4)
NUM_RUNS = 32


@functools.cache
def point():
    batch = PROBLEM.batch(jax.random.key(0), PROBLEM.data())
    params = PROBLEM.measured_params(jax.jit(PROBLEM.initial)(jax.random.key(1)), batch)
    return params, batch


def block_variances(gradient, estimator):
    """Return the variance in each of R runs: `[R, 785, 2]` weights, `[R, 4, 2]` logits."""
    sampler, keys = Sampler(gradient), jax.random.split(jax.random.key(2), NUM_RUNS)
    runs = [sampler.draw(estimator, point(), key, 512)[0] for key in keys]
    variances = np.stack([blocks.variance for blocks in runs])
    # In the order of the pytree: the encoder's bias and kernel, then the logits.
    bias, kernel, logits = np.split(variances, [2, 2 + 784 * 2], axis=1)
    weights = np.concatenate([kernel, bias], axis=1).reshape(NUM_RUNS, 785, 2)
    return weights, logits.reshape(NUM_RUNS, 4, 2)


def inputs():
    """Return what the weights multiply: the image less the mean image, and one for the bias."""
    centred = np.asarray(point()[1], np.float64) - PROBLEM.mean_image
    return np.concatenate([centred, np.ones((4, 1))], axis=1)


def scores(found, expected):
    """Return by how many standard errors of the mean over runs the two differ."""
    difference = found - expected
    error = difference.std(0, ddof=1) / np.sqrt(NUM_RUNS)
    return difference.mean(0) / np.maximum(error, 1e-30)


def gradient(estimator, context, key):
    params, batch = context
    chosen = {name: params[name] for name in ("encoder", "logits")}
    return jax.grad(lambda part: PROBLEM.loss(params | part, estimator, key, batch))(chosen)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("estimator", [ScoreFunction(), StraightThrough()], ids=str)
def test_encoder_variance_is_that_of_the_logits(estimator):
    weights, logits = block_variances(gradient, estimator)
    # The logits' gradients are of the mean over the batch, as the weights' are.
    propagated = np.einsum("np,rnd->rpd", inputs() ** 2, logits)
    z = scores(weights, propagated)
    # Student's law of 31 degrees of freedom passes 6.5 once in three million.
    assert np.abs(z).max() < 6.5
    # The relation is a sharp one: sums over the images in another way are far off.
    assert np.abs(scores(weights, 1.1 * propagated)).max() > 10
    # And the propagated variance is the less noisy estimate of the two.
    assert np.mean(propagated.std(0)) < 0.8 * np.mean(weights.std(0))
