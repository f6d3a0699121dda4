"""Where structure makes the variance exact: the encoder's, from that of the logits.

With independent noise per image, the gradient of a linear encoder's weights is the sum over images
of the (centred) image times the gradient with respect to its logits. So their variances are too:
Var(W) = sum_n x_n^2 Var(g_n).
"""

import jax
import numpy as np

from estimators import ScoreFunction, StraightThrough
from experiments.moments import Sampler
from experiments.problems import VAE
from experiments.problems.vae import mean_image

PROBLEM = VAE(size=2, batch_size=4)


def _gradient(estimator, context, key):
    params, batch = context
    return jax.grad(lambda part: PROBLEM.loss(params | part, estimator, key, batch))(
        {name: params[name] for name in ("encoder", "logits")}
    )


def test_encoder_variance_is_that_of_the_logits_propagated():
    batch = PROBLEM.batch(jax.random.key(0), PROBLEM.data())
    params = PROBLEM.measurable(PROBLEM.initial(jax.random.key(1)), batch)
    inputs = np.asarray(batch, np.float64) - mean_image()
    zero = jax.tree.map(np.zeros_like, {name: params[name] for name in ("encoder", "logits")})
    sampler = Sampler(_gradient)
    for estimator in ScoreFunction(), StraightThrough():
        (blocks,) = sampler.draw(estimator, (params, batch), jax.random.key(2), 4096, zero)
        variance = jax.tree.unflatten(jax.tree.structure(zero), _split(blocks.variance, zero))
        direct = variance["encoder"]["layers"][0]["kernel"]
        predicted = np.einsum("np,nd->pd", inputs**2, variance["logits"])
        # Both are of the same samples: they differ by the sampled correlations between images,
        # each of which has the standard error 1 / sqrt(n) of its bound.
        scale = np.einsum("np,nd->pd", np.abs(inputs), np.sqrt(variance["logits"])) ** 2
        assert np.all(np.abs(direct - predicted) <= 5 * scale / np.sqrt(blocks.count))
        bias = variance["encoder"]["layers"][0]["bias"]
        summed = variance["logits"].sum(0)
        bound = np.sqrt(variance["logits"]).sum(0) ** 2
        assert np.all(np.abs(bias - summed) <= 5 * bound / np.sqrt(blocks.count))


def _split(vector, like):
    leaves = jax.tree.leaves(like)
    parts = np.split(vector, np.cumsum([leaf.size for leaf in leaves])[:-1])
    return [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
