"""The variational autoencoder on MNIST, with Bernoulli, categorical or normal latent variables."""

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import (
    Bernoulli,
    Categorical,
    Distribution,
    Estimator,
    Exact,
    GumbelSoftmax,
    ImportanceBound,
    Normal,
    Pathwise,
)
from estimators.core.validation import check_choice, check_count, check_positive
from experiments.data import binarise, load_mnist
from experiments.problems.networks import feed_forward
from experiments.problems.problem import Params, Problem

PIXELS = 784

Latent = Literal["Bernoulli", "Categorical", "Normal"]
KL = Literal["analytic", "sampled", "sampled-no-score", "relaxed-density"]


@functools.cache
def training_images() -> np.ndarray:
    """Return MNIST's training images as zeros and ones, `[60000, 784]`, threshold 127."""
    return binarise(load_mnist("train")[0], "threshold")


@functools.cache
def mean_image() -> np.ndarray:
    """Return the mean training image, `[784]`."""
    return training_images().mean(0)


@dataclasses.dataclass(frozen=True)
class VAE(Problem):
    r"""A VAE on MNIST: the negative evidence lower bound per image, in nats.

    The encoder maps a centred image to logits, the decoder a latent sample to the logits of
    independent Bernoulli pixels; the prior's logits are learned. With Bernoulli latents samples
    enter the decoder as $\pm 1$ (Tucker et al. 2017).

    Args:
        latent: the family of the latent variables; "Normal" is the continuous reference point.
        size: number of latent variables.
        classes: number of classes of a categorical variable.
        layers: number of hidden tanh layers of encoder and decoder; 0 makes both linear.
        width: units of a hidden layer.
        kl: the objective's form, since the measured variance depends on it. "analytic": the
            divergence to the prior in closed form, outside f. "sampled": log q(z) - log p(z) inside
            f. "sampled-no-score": the same with q's parameters detached inside f; log q's own score
            has mean zero. "relaxed-density": the densities of the relaxed sample (Maddison et al.
            2017), which only `GumbelSoftmax` has; its bias is against the discrete bound.
        prior_temperature: temperature of the prior's relaxed density.
        batch_size: images in a minibatch.
        num_samples: samples in the importance weighted bound (Burda et al. 2016); 1 is the evidence
            lower bound. Several need kl="sampled": nothing may be detached inside such a bound.
    """

    latent: Latent = "Bernoulli"
    size: int = 8
    classes: int = 10
    layers: int = 0
    width: int = 200
    kl: KL = "analytic"
    prior_temperature: float = 0.5
    batch_size: int = 100
    num_samples: int = 1

    @property
    def objective(self) -> str:
        """The form of the divergence."""
        return f"kl={self.kl}"

    @property
    def group(self) -> str:
        """The encoder: what the estimators differ in."""
        return "encoder"

    @property
    def trainable(self) -> bool:
        """Whether it is trained briefly before it is measured: yes."""
        return True

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of the latent sample of one image."""
        return (self.size, self.classes) if self.latent == "Categorical" else (self.size,)

    @property
    def _num_logits(self) -> int:
        return int(np.prod(self.event_shape)) * (2 if self.latent == "Normal" else 1)

    @property
    def _encoder(self):
        sizes = (PIXELS, *(self.width,) * self.layers, self._num_logits)
        return feed_forward(sizes)

    @property
    def _decoder(self):
        sizes = (int(np.prod(self.event_shape)), *(self.width,) * self.layers, PIXELS)
        return feed_forward(sizes)

    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters; the pixels' bias is their log-odds in the data."""
        encoder_key, decoder_key = jax.random.split(key)
        decoder = self._decoder[0](decoder_key)
        odds = np.clip(mean_image(), 0.001, 0.999)
        decoder["layers"][self.layers]["bias"] = jnp.asarray(np.log(odds / (1 - odds)))
        params = {"encoder": self._encoder[0](encoder_key), "decoder": decoder}
        if self.latent != "Normal":
            params["prior"] = jnp.zeros(self.event_shape)
        return params

    def measurable(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the encoder's output for each image of the batch."""
        return params | {"logits": jnp.zeros((len(batch), self._num_logits))}

    def data(self) -> jax.Array:
        """Return MNIST's training images, `[60000, 784]` of zeros and ones."""
        return jnp.asarray(training_images())

    def batch(self, key: jax.Array, data: jax.Array) -> jax.Array:
        """Return `[batch_size, 784]` images drawn with replacement; `key` is consumed."""
        return data[jax.random.randint(key, (self.batch_size,), 0, len(data))]

    def posterior(self, logits: jax.Array) -> Distribution:
        """Return q(z | x) of one image from the encoder's output."""
        if self.latent == "Normal":
            return Normal(*jnp.split(logits, 2))
        family = Bernoulli if self.latent == "Bernoulli" else Categorical
        return family(logits.reshape(self.event_shape))

    def prior(self, params: Params) -> Distribution:
        """Return p(z)."""
        if self.latent == "Normal":
            zero = jnp.zeros(self.event_shape)
            return Normal(zero, zero)
        family = Bernoulli if self.latent == "Bernoulli" else Categorical
        return family(params["prior"])

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the encoder's output for images `[..., 784]`."""
        centred = images - np.broadcast_to(mean_image(), images.shape)
        logits = self._encoder[1](params["encoder"], centred)
        return logits + params["logits"] if "logits" in params else logits

    def reconstruction(self, params: Params, image: jax.Array, sample: jax.Array) -> jax.Array:
        """Return -log p(x | z) of one image in nats."""
        sample = 2 * sample - 1 if self.latent == "Bernoulli" else sample.ravel()
        pixels = self._decoder[1](params["decoder"], sample)
        # Split so that what does not depend on the image is computed once under vmap over images.
        return _softplus(pixels).sum() - image @ pixels

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return q(z | x) of the first image; of `num_samples` copies where there are several."""
        without = {name: part for name, part in params.items() if name != "logits"}
        return self._copies(self.posterior(self.encode(without, batch[0])))

    def _copies(self, posterior: Distribution) -> Distribution:
        return posterior if self.num_samples == 1 else posterior.independent(self.num_samples)

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean negative bound of the batch in nats; `key` is consumed.

        Every image has a key, and so noise, of its own.
        """

        def example(key, image, logits):
            return self._bound(params, estimator, key, image, self.posterior(logits))

        keys = jax.random.split(key, len(batch))
        return jax.vmap(example)(keys, batch, self.encode(params, batch)).mean()

    def _bound(self, params, estimator, key, image, posterior):
        prior = self.prior(params)

        def reconstruction(sample):
            return self.reconstruction(params, image, sample)

        if self.num_samples > 1:

            def log_weight(sample):
                return prior.log_prob(sample) - posterior.log_prob(sample) - reconstruction(sample)

            return estimator(key, self._copies(posterior), ImportanceBound(log_weight))
        if self.kl == "analytic":
            return estimator(key, posterior, reconstruction) + posterior.kl(prior)
        if self.kl == "relaxed-density" and isinstance(estimator, GumbelSoftmax):
            return self._relaxed_bound(estimator, key, posterior, prior, reconstruction)
        inside = jax.lax.stop_gradient(posterior) if self.kl == "sampled-no-score" else posterior

        def integrand(sample):
            return reconstruction(sample) + inside.log_prob(sample) - prior.log_prob(sample)

        return estimator(key, posterior, integrand)

    def _relaxed_bound(self, estimator, key, posterior, prior, reconstruction):
        posterior = posterior.relax(jax.lax.stop_gradient(estimator.temperature))
        prior = prior.relax(self.prior_temperature)

        def integrand(sample):
            densities = posterior.log_prob(sample) - prior.log_prob(sample)
            return reconstruction(posterior.squash(sample)) + densities

        return Pathwise()(key, posterior, integrand)

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit: its distributions, or the form of the bound."""
        if self.kl == "relaxed-density" and not isinstance(estimator, GumbelSoftmax | Exact):
            return "kl=relaxed-density is for GumbelSoftmax, whose relaxed sample has a density"
        if self.num_samples > 1:
            return estimator.refusal(distribution)
        return super().refusal(estimator, distribution)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the evaluations; of a bound, those of its log-weight for every estimator."""
        count = super().evaluations(estimator, distribution)
        return count if estimator.needs_bound else count * self.num_samples

    def check(self) -> None:
        """Raise where a setting is out of range."""
        check_choice("VAE latent", self.latent, ("Bernoulli", "Categorical", "Normal"))
        forms = ("analytic", "sampled", "sampled-no-score", "relaxed-density")
        check_choice("VAE kl", self.kl, forms)
        check_count("VAE size", self.size, 1)
        check_count("VAE classes", self.classes, 2)
        check_count("VAE layers", self.layers, 0)
        check_count("VAE width", self.width, 1)
        check_count("VAE batch_size", self.batch_size, 1)
        check_count("VAE num_samples", self.num_samples, 1)
        if self.num_samples > 1 and self.kl != "sampled":
            raise ValueError(f"a bound of several samples needs kl=sampled, not {self.kl}")
        check_positive("VAE prior_temperature", self.prior_temperature)
        if self.kl == "relaxed-density" and self.latent == "Normal":
            raise ValueError(
                "kl=relaxed-density is for discrete latents: a Normal has its density anyway"
            )


def _softplus(x: jax.Array) -> jax.Array:
    """Return log(1 + e^x) to an absolute error of one rounding, which is all that a sum needs.

    `jax.nn.softplus`, accurate relative to its value, takes log1p, and once more in its derivative.
    """
    return jnp.maximum(x, 0) + jnp.log(1 + jnp.exp(-jnp.abs(x)))
