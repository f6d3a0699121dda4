"""Structured output prediction: the lower half of an image from its upper half."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from estimators import Distribution, Estimator, ImportanceBound
from estimators.checks import check_choice
from experiments.problems.images import PIXELS, log_odds
from experiments.problems.problem import Params
from experiments.problems.stochastic_network import (
    Network,
    StochasticNetwork,
    cross_entropy,
    square,
)

HALF = PIXELS // 2


@dataclasses.dataclass(frozen=True)
class StructuredPrediction(StochasticNetwork):
    r"""A stochastic feed-forward network: -log p(lower half | upper half) per image, in nats.

    392-200-200-392 or 392-(20x10)-(20x10)-392 in the papers (Raiko et al. 2015, Gu et al. 2016,
    Jang et al. 2017): the centred upper half gives the logits of $z_1$, $z_l$ those of $z_{l+1}$,
    and $z_L$ those of the lower half's pixels. The loss is $-\log \frac1m \sum_i p(x \mid z_L^i)$
    over m paths; its mean over paths is a bound on the negative log-likelihood. `GumbelSoftmax`
    takes m relaxed paths (Maddison et al. 2017).

    Args:
        latent: the family of the stochastic units.
        size: number of units of a layer.
        classes: number of classes of a categorical unit.
        depth: number of layers of stochastic units.
        hidden: deterministic layers before every layer, such as 200-200; "" makes all maps linear.
        activation: "tanh", "relu" or "leaky_relu" (slope 0.3), between them.
        num_samples: paths of the bound, m.
    """

    latent: Literal["Bernoulli", "Categorical"] = "Bernoulli"
    size: int = 200
    classes: int = 10
    depth: int = 2
    hidden: str | int = ""
    activation: str = "tanh"
    num_samples: int = 1

    @property
    def objective(self) -> str:
        """The number of samples of the bound."""
        return f"{self.num_samples} sample{'s' if self.num_samples > 1 else ''}"

    def _network(self, level: int) -> Network:
        """Return the network that outputs layer `level`, from 0; the last outputs pixels."""
        inputs = HALF if level == 0 else self.layer.num_units
        return self.network(inputs, HALF if level == self.depth else self.layer.num_logits)

    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters; the pixels' bias is their log-odds in the data."""
        networks = [
            self._network(level)[0](key)
            for level, key in enumerate(jax.random.split(key, self.depth + 1))
        ]
        networks[-1] = self.with_output_bias(networks[-1], log_odds(self.mean_image[HALF:]))
        return {"encoder": networks[:-1], "decoder": networks[-1]}

    def encode(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the first layer's logits for images `[..., 784]`, from their upper halves."""
        upper = images[..., :HALF]
        centred = upper - jnp.broadcast_to(self.mean_image[:HALF], upper.shape)
        logits = self._network(0)[1](params["encoder"][0], centred)
        return self.added(params, 0, logits)

    def following(self, params: Params, level: int, sample: jax.Array) -> Distribution:
        """Return p(z_{l+1} | z_l), l = `level`, counted from 1."""
        entering = self.layer.code(sample)
        logits = self._network(level)[1](params["encoder"][level], entering)
        return self.layer.distribution(self.added(params, level, logits))

    def pixel_logits(self, params: Params, sample: jax.Array) -> jax.Array:
        """Return the logits `[392]` of the lower half from the last layer's sample."""
        return self._network(self.depth)[1](params["decoder"], self.layer.code(sample))

    def prediction(self, params: Params, image: jax.Array, sample: jax.Array) -> jax.Array:
        """Return -log p(lower half | z_L) of one image in nats."""
        return cross_entropy(self.pixel_logits(params, sample), image[HALF:])

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the mean loss of the batch in nats; `key` is consumed.

        Every image has its own key, hence independent noise.
        """

        def example(key, image, logits, above):
            own = params | above

            def nested(key, first):
                """Estimate the loss of one sample by nested calls of the estimator."""
                keys = jax.random.split(key, self.depth)

                def estimate(level, distribution):
                    def f(sample):
                        if level + 1 == self.depth:
                            return self.prediction(own, image, sample)
                        return estimate(level + 1, self.following(own, level + 1, sample))

                    return estimator(keys[level], distribution, f)

                return estimate(0, first)

            first = self.layer.distribution(logits)
            if self._is_relaxed(estimator):
                keys = jax.random.split(key, self.num_samples)
                return ImportanceBound.reduce(-jax.vmap(lambda key: nested(key, first))(keys))
            if self.num_samples > 1:

                def log_weight(path):
                    return -self.prediction(own, image, self.layers(path)[-1])

                return estimator(key, self.paths(own, first), ImportanceBound(log_weight))
            return nested(key, first)

        keys = jax.random.split(key, len(batch))
        every = self.encode(params, batch), self.above(params)
        return jax.vmap(example)(keys, batch, *every).mean()

    def _is_relaxed(self, estimator: Estimator) -> bool:
        """Return whether the bound is over relaxed paths, each sample's gradient pathwise."""
        return self.num_samples > 1 and estimator.relaxes

    def refusal(self, estimator: Estimator, distribution: Distribution) -> str | None:
        """Return why an estimator does not fit: its distributions, or the bound."""
        return None if self._is_relaxed(estimator) else super().refusal(estimator, distribution)

    def evaluations(self, estimator: Estimator, distribution: Distribution) -> int:
        """Return the number of evaluations of f; for a bound, those of its log-weight."""
        if self._is_relaxed(estimator):
            return self.num_samples
        return super().evaluations(estimator, distribution)

    def log_weight(self, params: Params, key: jax.Array, example: Any) -> jax.Array:
        """Return log p(lower half | z) of one path z of hard samples, in nats."""
        path = self.path(params, self.layer.distribution(self.encode(params, example)))
        return -self.prediction(params, example, self.layers(path.sample(key))[-1])

    def pictures(self, params: Params, key: jax.Array, examples: Any) -> dict[str, jax.Array]:
        """Return `completions`: images, each above four model samples given its upper half."""

        def complete(key, image):
            path = self.path(params, self.layer.distribution(self.encode(params, image)))
            last = self.layers(path.sample(key))[-1]
            lower = jax.nn.sigmoid(self.pixel_logits(params, last))
            return square(jnp.concatenate([image[:HALF], lower]))

        shown = examples[:16]
        keys = jax.random.split(key, (4, len(shown)))
        completed = jax.vmap(jax.vmap(complete), (0, None))(keys, shown)
        rows = jnp.concatenate([square(shown)[None], completed])
        return {"completions": rows}

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        check_choice("StructuredPrediction latent", self.latent, ("Bernoulli", "Categorical"))
