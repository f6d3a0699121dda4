"""The variational autoencoder on images, with Bernoulli, categorical or normal latent variables."""

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp

from estimators import Distribution, Estimator, Exact, ImportanceBound, Normal
from estimators.checks import check_choice, check_positive
from experiments.problems.autoregressive import Autoregressive
from experiments.problems.images import PIXELS, SIDE, log_odds
from experiments.problems.latent import Family
from experiments.problems.problem import Params
from experiments.problems.stochastic_network import (
    Network,
    StochasticNetwork,
    cross_entropy,
    square,
)

_CHANGES = 15
"""Pictures in a row of traversals after the first."""

KL = Literal["analytic", "sampled", "sampled-no-score", "relaxed-density"]


@dataclasses.dataclass(frozen=True)
class VAE(StochasticNetwork):
    r"""A VAE: the negative evidence lower bound per image, in nats.

    The encoder maps a centred image to the logits of $z_1$, and $z_l$ to those of $z_{l+1}$; the
    decoder maps $z_{l+1}$ to the logits of $z_l$, and $z_1$ to those of independent Bernoulli
    pixels. Bernoulli samples enter networks as $\pm 1$ (Tucker et al. 2017). Layers of stochastic
    units are nested calls of the estimator, or one path for each sample of a multi-sample bound.

    With autoregressive connections (Gregor et al. 2014, arXiv:1310.8499) a variable's logit
    includes a sum over the preceding variables: $\sum_{j<i} U_{ij} (2 z_j - 1)$ in the prior of the
    last layer, and $\sum_{j<i} W_{ij} (x_j - \bar{x}_j)$ among pixels, $\bar{x}$ the mean image. U
    and W start at zero. The encoder's units stay independent.

    Args:
        latent: the family of the latent variables; "Normal" is the continuous reference point.
        size: number of latent variables of a layer.
        classes: number of classes of a categorical variable.
        depth: number of layers of stochastic units.
        hidden: deterministic layers of every encoder network, such as 200-200, reversed in every
            decoder network; "" makes all of them linear.
        activation: "tanh", "relu", "leaky_relu" (slope 0.3) or "leaky_relu_0.2", between them.
        prior: whether the logits of the last layer's prior are "learned", or stay "uniform", or are
            "autoregressive": learned with U, for Bernoulli latents and a sampled kl.
        pixels: "independent" given $z_1$, or "autoregressive": with W.
        kl: the objective's form, since the measured variance depends on it. "analytic": the
            divergence to the prior in closed form, outside f (of two layers, the first one's
            entropy and the second one's divergence). "sampled": log q(z) - log p(z) inside f.
            "sampled-no-score": the same with q's parameters detached inside f; log q's own score
            has mean zero. "relaxed-density": the densities of the relaxed sample (Maddison et al.
            2017), which only `GumbelSoftmax` has; its bias is relative to the discrete bound.
        prior_temperature: temperature of the prior's relaxed density.
        num_samples: samples in the importance weighted bound (Burda et al. 2016); 1 is the evidence
            lower bound. Several need kl="sampled" (nothing may be detached inside such a bound) or
            "relaxed-density".
        centred: whether the mean image is subtracted from inputs, and the pixels' bias starts at
            its log-odds.
    """

    latent: Family = "Bernoulli"
    size: int = 8
    classes: int = 10
    depth: int = 1
    hidden: str | int = ""
    activation: str = "tanh"
    prior: Literal["learned", "uniform", "autoregressive"] = "learned"
    pixels: Literal["independent", "autoregressive"] = "independent"
    kl: KL = "analytic"
    prior_temperature: float = 0.5
    num_samples: int = 1
    centred: bool = True

    @property
    def objective(self) -> str:
        """The form of the divergence, and the samples of the bound."""
        several = f", {self.num_samples} samples" if self.num_samples > 1 else ""
        return f"kl={self.kl}{several}"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one layer's sample for one image."""
        return self.layer.event_shape

    def _encoder(self, level: int) -> Network:
        inputs = PIXELS if level == 0 else self.layer.num_units
        return self.network(inputs, self.layer.num_logits)

    def _decoder(self, level: int) -> Network:
        outputs = PIXELS if level == 0 else self.layer.num_logits
        return self.network(self.layer.num_units, outputs, reverse=True)

    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters."""
        keys = jax.random.split(key, 2 * self.depth)
        encoder = [self._encoder(level)[0](keys[2 * level]) for level in range(self.depth)]
        decoder = [self._decoder(level)[0](keys[2 * level + 1]) for level in range(self.depth)]
        if self.centred:
            decoder[0] = self.with_output_bias(decoder[0], log_odds(self.mean_image))
        params: Params = {"encoder": encoder, "decoder": decoder}
        if self.latent != "Normal" and self.prior == "learned":
            params["prior"] = jnp.zeros(self.event_shape)
        if self.prior == "autoregressive":
            size = self.size
            params["prior"] = {"logits": jnp.zeros(size), "couplings": jnp.zeros((size, size))}
        if self.pixels == "autoregressive":
            params["pixels"] = jnp.zeros((PIXELS, PIXELS))
        return params

    def top(self, params: Params) -> Any:
        """Return the prior of the last layer, p(z_L)."""
        if self.latent == "Normal":
            zero = jnp.zeros(self.event_shape)
            return Normal(zero, zero)
        if self.prior == "autoregressive":
            return Autoregressive(**params["prior"], code=self.layer.code)
        return self.layer.distribution(params.get("prior", jnp.zeros(self.event_shape)))

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the first layer's logits for images `[..., 784]`."""
        if self.centred:
            images = images - jnp.broadcast_to(self.mean_image, images.shape)
        logits = self._encoder(0)[1](params["encoder"][0], images)
        return self.added(params, 0, logits)

    def following(self, params: Params, level: int, sample: jax.Array) -> Distribution:
        """Return q(z_{l+1} | z_l), l = `level`, counted from 1."""
        entering = self.layer.code(sample)
        logits = self._encoder(level)[1](params["encoder"][level], entering)
        return self.layer.distribution(self.added(params, level, logits))

    def generative(self, params: Params, level: int, sample: jax.Array) -> Any:
        """Return p(z_l | z_{l+1}), l = `level`, counted from 1."""
        entering = self.layer.code(sample)
        return self.layer.distribution(self._decoder(level)[1](params["decoder"][level], entering))

    def pixel_logits(self, params: Params, sample: jax.Array) -> jax.Array:
        """Return the logits `[784]` of p(x | z_1), without autoregressive terms."""
        return self._decoder(0)[1](params["decoder"][0], self.layer.code(sample))

    def reconstruction(self, params: Params, image: jax.Array, sample: jax.Array) -> jax.Array:
        """Return -log p(x | z_1) of one image in nats."""
        logits = self.pixel_logits(params, sample)
        if self.pixels == "autoregressive":
            logits = self._autoregressive_pixels(params, logits).conditionals(image).logits
        return cross_entropy(logits, image)

    def _autoregressive_pixels(self, params: Params, logits: jax.Array) -> Autoregressive:
        mean = jnp.asarray(self.mean_image)
        return Autoregressive(logits, params["pixels"], code=lambda image: image - mean)

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean negative bound of the batch in nats; `key` is consumed.

        Every image has its own key, hence independent noise.
        """

        def example(key, image, logits, above):
            own, first = params | above, self.layer.distribution(logits)
            if self._is_relaxed(estimator):
                return self._relaxed_bound(own, estimator, key, image, first)
            if self.num_samples > 1:
                return self._importance_bound(own, estimator, key, image, first)
            return self._nested_bound(own, estimator, key, image, first)

        keys = jax.random.split(key, len(batch))
        every = self.encode(params, batch), self.above(params)
        return jax.vmap(example)(keys, batch, *every).mean()

    def _nested_bound(self, params, estimator, key, image, first):
        keys = jax.random.split(key, self.depth) if self.depth > 1 else [key]
        analytic = self.kl in ("analytic", "relaxed-density")
        # Parameters are detached, but never a sample, since a relaxed one carries a gradient.
        detached = jax.lax.stop_gradient(params) if self.kl == "sampled-no-score" else params

        def estimate(level, below, posterior, inside):
            """Estimate the bound from layer `level` on; `below` is -log p of the layer below."""
            is_last = level + 1 == self.depth

            def f(sample):
                value = below(sample)
                if not analytic:
                    value += inside.log_prob(sample)
                if is_last:
                    return value if analytic else value - self.top(params).log_prob(sample)

                def explained(above):
                    return -self.generative(params, level + 1, above).log_prob(sample)

                following = (self.following(part, level + 1, sample) for part in (params, detached))
                return value + estimate(level + 1, explained, *following)

            value = estimator(keys[level], posterior, f)
            if not analytic:
                return value
            return value + (posterior.kl(self.top(params)) if is_last else -posterior.entropy())

        inside = jax.lax.stop_gradient(first) if self.kl == "sampled-no-score" else first
        return estimate(0, lambda z: self.reconstruction(params, image, z), first, inside)

    def _importance_bound(self, params, estimator, key, image, first):
        def log_weight(path):
            posterior = self.path(params, first).log_prob(path)
            return self._log_joint(params, image, path) - posterior

        return estimator(key, self.paths(params, first), ImportanceBound(log_weight))

    def _log_joint(self, params, image, path):
        """Return log p(x, z_1, ..., z_L) of a path, with layers along its first axis."""
        samples = self.layers(path)
        value = self.top(params).log_prob(samples[-1]) - self.reconstruction(
            params, image, samples[0]
        )
        for level, (sample, above) in enumerate(zip(samples, samples[1:], strict=False), 1):
            value += self.generative(params, level, above).log_prob(sample)
        return value

    def _relaxed_bound(self, params, estimator, key, image, first):
        """Return the bound of the relaxed model: densities at relaxed samples, pathwise."""
        temperature = jax.lax.stop_gradient(estimator.temperature)
        keys = jax.random.split(key, self.num_samples) if self.num_samples > 1 else key[None]

        def density(distribution, temperature, unsquashed):
            return distribution.relax(temperature).log_prob(unsquashed)

        def log_weight(key):
            keys = jax.random.split(key, self.depth) if self.depth > 1 else [key]
            value, below = 0.0, None
            posterior: Any = first
            sample: Any = None
            for level, key in enumerate(keys):
                if level > 0:
                    posterior = self.following(params, level, sample)
                relaxed = posterior.relax(temperature)
                unsquashed = relaxed.sample(key)
                sample = relaxed.squash(unsquashed)
                if level == 0:
                    value -= self.reconstruction(params, image, sample)
                else:
                    explained = self.generative(params, level, sample)
                    value += density(explained, self.prior_temperature, below)
                value -= relaxed.log_prob(unsquashed)
                below = unsquashed
            return value + density(self.top(params), self.prior_temperature, below)

        return ImportanceBound.reduce(jax.vmap(log_weight)(keys))

    def log_weight(self, params: Params, key: jax.Array, example: Any) -> jax.Array:
        """Return log p(x, z) - log q(z | x) of one path z of hard samples, in nats."""
        path = self.path(params, self.layer.distribution(self.encode(params, example)))
        sample = path.sample(key)
        return self._log_joint(params, example, sample) - path.log_prob(sample)

    def pictures(self, params: Params, key: jax.Array, examples: Any) -> dict[str, jax.Array]:
        """Return `samples` of the model, `reconstructions`, and `traversals`.

        Each reconstruction is below its image. A row of traversals begins with the picture of an
        image's most likely z_1, followed by pictures with one variable changed, for the variables
        with the largest effect. Independent pixels are shown as means; autoregressive ones are
        sampled.
        """
        prior_key, posterior_key = jax.random.split(key)

        def picture(key, sample):
            logits = self.pixel_logits(params, sample)
            if self.pixels == "independent":
                return square(jax.nn.sigmoid(logits))
            pixels = self._autoregressive_pixels(params, logits)
            return square(pixels.sample(jax.random.fold_in(key, 1)))

        def dream(key):
            keys = jax.random.split(key, self.depth)
            sample = self.top(params).sample(keys[0])
            for level in range(self.depth - 1, 0, -1):
                sample = self.generative(params, level, sample).sample(keys[level])
            return picture(key, sample)

        def reconstruct(key, image):
            sample = self.layer.distribution(self.encode(params, image)).sample(key)
            return picture(key, sample)

        def traverse(image):
            likeliest = self.layer.likeliest(self.encode(params, image))
            shown = functools.partial(picture, posterior_key)  # common noise: only codes differ
            first = shown(likeliest)[None]
            changed = jax.vmap(jax.vmap(shown))(self.layer.variations(likeliest))
            distance = jnp.square(changed - first[None]).sum((-1, -2)).max(1)
            most = jnp.argsort(-distance)[: max(1, _CHANGES // changed.shape[1])]
            return jnp.concatenate([first, changed[most].reshape(-1, SIDE, SIDE)])

        dreams = jax.vmap(dream)(jax.random.split(prior_key, 64))
        shown = examples[:16]
        keys = jax.random.split(posterior_key, len(shown))
        pairs = square(shown), jax.vmap(reconstruct)(keys, shown)
        return {
            "samples": dreams.reshape(8, 8, SIDE, SIDE),
            "reconstructions": jnp.stack(pairs),
            "traversals": jax.vmap(traverse)(shown[:8]),
        }

    def _is_relaxed(self, estimator: Estimator) -> bool:
        """Return whether the loss is that of the relaxed model."""
        has_density = estimator.relaxes and "temperature" in estimator.hyperparameters()
        return self.kl == "relaxed-density" and has_density

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit: its distributions, or the form of the bound."""
        if self._is_relaxed(estimator):
            return None
        if self.kl == "relaxed-density" and not isinstance(estimator, Exact):
            return "kl=relaxed-density is for GumbelSoftmax, whose relaxed sample has a density"
        return super().refusal(estimator, distribution)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the number of evaluations of f; for a bound, those of its log-weight."""
        if self._is_relaxed(estimator):
            return self.num_samples
        return super().evaluations(estimator, distribution)

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_choice("VAE latent", self.latent, ("Bernoulli", "Categorical", "Normal"))
        forms = ("analytic", "sampled", "sampled-no-score", "relaxed-density")
        check_choice("VAE kl", self.kl, forms)
        check_choice("VAE prior", self.prior, ("learned", "uniform", "autoregressive"))
        check_choice("VAE pixels", self.pixels, ("independent", "autoregressive"))
        if self.prior == "autoregressive" and self.latent != "Bernoulli":
            raise ValueError(f"prior=autoregressive is for Bernoulli latents, not {self.latent}")
        if self.prior == "autoregressive" and self.kl not in ("sampled", "sampled-no-score"):
            raise ValueError(
                f"prior=autoregressive needs kl=sampled or sampled-no-score, not {self.kl}: "
                "the divergence to it has no closed form"
            )
        if self.pixels == "autoregressive" and self.binarisation == "real":
            raise ValueError("pixels=autoregressive needs bits: binarisation=real has grey values")
        if self.num_samples > 1 and self.kl not in ("sampled", "relaxed-density"):
            raise ValueError(
                f"VAE num_samples above 1 needs kl=sampled or relaxed-density, not {self.kl}"
            )
        check_positive("VAE prior_temperature", self.prior_temperature)
        check_choice("VAE centred", self.centred, (True, False))
        if self.kl == "relaxed-density" and self.latent == "Normal":
            raise ValueError(
                "kl=relaxed-density is for discrete latents: a Normal has its density anyway"
            )
        if self.depth > 1 and self.latent == "Normal":
            raise ValueError("VAE depth is for discrete latents: a Normal has one layer")
