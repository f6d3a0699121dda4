"""Pruning: stochastic gates on the units of a classifier, and a penalty on what they leave open."""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Bernoulli, Estimator, HardConcrete
from estimators.checks import check_between, check_choice, check_positive
from experiments import data as data_sets
from experiments.data import Binarisation, Split
from experiments.problems.images import PIXELS, ImageProblem
from experiments.problems.networks import feed_forward, hidden_sizes
from experiments.problems.problem import Params

LABELS = 10

# As in the code of Louizos et al.: chances of open gates at first, and the logits' deviation.
_PIXELS_OPEN, _UNITS_OPEN, _SPREAD = 0.8, 0.5, 0.01


@dataclasses.dataclass(frozen=True)
class Gates(ImageProblem):
    r"""A classifier of images whose units have gates: cross-entropy and expected size, in nats.

    $E_z\, \frac1B \sum_b -\log p(y_b \mid x_b, z) + \lambda \sum_i w_i P(z_i \ne 0)$: gate i
    multiplies a unit, and with it the $w_i$ weights that leave the unit. The network is dense with
    rectifiers. The second term is exact for both laws, so the estimators differ in the first only.
    Louizos et al. 2018 (arXiv:1712.01312) for hard concrete gates, with `Pathwise`; Li and Ji 2019
    (arXiv:1904.04432) for bits, with ARM.

    By default twelve hidden units have a gate each, and the gradient is enumerated over the 4,096
    masks. `Gates[hidden=300-100,gated=all]` is their network, LeNet-300-100 with gates on its
    pixels and units, without their weight decay.

    Args:
        law: "Bernoulli" gates, or "HardConcrete" ones, which are 0, 1 or between: another
            objective.
        hidden: units of the hidden layers, such as 300-100.
        gated: whether hidden "units" have gates, or "all", the pixels too.
        shared: whether the images of a minibatch share their gates. If not, each has its own, with
            an estimate for each: the objective is the same, the gradient's variance is not.
        penalty: $\lambda$, nats per weight and image; theirs is a number such as 0.1 over the
            number of images.
        sharpness: logits per unit of the parameters (7 in the code of Li and Ji): with Adam, a
            factor of their learning rate.
    """

    group = "logits"

    binarisation: Binarisation = "real"
    law: Literal["Bernoulli", "HardConcrete"] = "Bernoulli"
    hidden: str | int = 12
    gated: Literal["units", "all"] = "units"
    shared: bool = True
    penalty: float = 2e-6
    sharpness: float = 7.0

    @property
    def objective(self) -> str:
        """Whether the images share their gates."""
        return "gates of a minibatch" if self.shared else "gates of each image"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of units of all layers, the pixels first and the classes last."""
        return (PIXELS, *hidden_sizes(self.hidden), LABELS)

    @property
    def _ungated(self) -> int:
        """The number of first layers without gates."""
        return 0 if self.gated == "all" else 1

    @property
    def _gated_sizes(self) -> tuple[int, ...]:
        """Number of gates of each layer that has them."""
        return self.sizes[self._ungated : -1]

    @property
    def fan_out(self) -> np.ndarray:
        """Number of weights that each gate multiplies, float32 `[gates]`."""
        following = self.sizes[self._ungated + 1 :]
        return np.repeat(following, self._gated_sizes).astype(np.float32)

    def layers(self, gates: jax.Array) -> list[jax.Array]:
        """Return the gates of each layer that has them."""
        return jnp.split(gates, np.cumsum(self._gated_sizes)[:-1])

    def initial(self, key: jax.Array) -> Params:
        """Return a layer of the network each, and the gates over `sharpness`; `key` is consumed."""
        noise, *keys = jax.random.split(key, len(self.sizes))
        pairs = zip(self.sizes[:-1], self.sizes[1:], keys, strict=True)
        network = [feed_forward((a, b), "relu")[0](key) for a, b, key in pairs]
        opened = (_PIXELS_OPEN, *[_UNITS_OPEN] * (len(self.sizes) - 2))[self._ungated :]
        logits = np.repeat(np.log(opened) - np.log1p(np.negative(opened)), self._gated_sizes)
        logits = logits + _SPREAD * jax.random.normal(noise, logits.shape)
        return {"gates": logits / self.sharpness, "network": network}

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the logits of the gates."""
        return params | {"logits": jnp.zeros_like(params["gates"])}

    def distribution(self, params: Params, batch: Any) -> Bernoulli | HardConcrete:
        """Return the gates."""
        logits = self.sharpness * params["gates"]
        if "logits" in params:
            logits += params["logits"]
        return Bernoulli(logits) if self.law == "Bernoulli" else HardConcrete(logits)

    def classify(self, params: Params, gates: jax.Array, images: jax.Array) -> jax.Array:
        """Return logits `[..., 10]` for images `[..., 784]`, given the gates."""
        parts = iter(self.layers(gates))
        units = images
        for level, layer in enumerate(params["network"]):
            units = jax.nn.relu(units) if level else units
            if level >= self._ungated:
                units = units * jnp.broadcast_to(next(parts), units.shape)
            units = feed_forward(self.sizes[level : level + 2], "relu")[1](layer, units)
        return units

    def log_likelihood(
        self, params: Params, gates: jax.Array, images: jax.Array, labels: jax.Array
    ) -> jax.Array:
        """Return the mean log-probability of labels `[...]`, in nats, given the gates."""
        logs = jax.nn.log_softmax(self.classify(params, gates, images))
        return jnp.mean(jnp.sum(logs * jax.nn.one_hot(labels, LABELS, dtype=logs.dtype), -1))

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of the loss in nats per image; `key` is consumed."""
        law = self.distribution(params, batch)

        def estimate(key: jax.Array, *examples: jax.Array) -> jax.Array:
            return estimator(key, law, lambda z: -self.log_likelihood(params, z, *examples))

        if self.shared:
            misfit = estimate(key, *batch)
        else:
            misfit = jax.vmap(estimate)(jax.random.split(key, self.batch_size), *batch).mean()
        return misfit + self.penalty * self.expected_weights(params)

    def expected_weights(self, params: Params) -> jax.Array:
        r"""Return $\sum_i w_i P(z_i \ne 0)$, the expected number of weights of open gates."""
        law = self.distribution(params, None)
        open_chance = law.mean if isinstance(law, Bernoulli) else 1 - law.chance_of_zero
        return open_chance @ self.fan_out

    def data(self, split: Split = "train") -> Any:
        """Return the images of a split, uint8 `[N, 784]`, and their labels, int32 `[N]`."""
        labels = data_sets.load(self.dataset, split).labels.astype(np.int32)
        return super().data(split), labels

    def batch(self, key: jax.Array, data: Any) -> Any:
        """Return images `[batch_size, 784]` drawn with replacement, and labels; consumes `key`."""
        which, bits = jax.random.split(key)
        chosen = jax.random.randint(which, (self.batch_size,), 0, len(data[1]))
        return self.examples(bits, tuple(jnp.asarray(part)[chosen] for part in data))

    def examples(self, key: jax.Array, data: Any) -> Any:
        """Return images `[N, 784]` in [0, 1] and labels `[N]`; `key` is consumed."""
        images, labels = data
        return super().examples(key, images), jnp.asarray(labels)

    def log_weight(self, params: Params, key: jax.Array, example: Any) -> jax.Array:
        """Return log p(label | image, z) with gates z drawn from their law; consumes `key`."""
        gates = self.distribution(params, None).sample(key)
        return self.log_likelihood(params, gates, *example)

    def hard(self, params: Params) -> jax.Array:
        """Return the gates of the pruned network: likelier bits, or the test-time gates."""
        law = self.distribution(params, None)
        return law.hard(law.logits) if isinstance(law, Bernoulli) else law.gate()

    def scores(self, params: Params, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return the pruned network's `error`, open gates (`kept`) and share of `weights`.

        Weights are those between open units.
        """
        images, labels = self.examples(key, data)
        gates = self.hard(params)
        chosen = self.classify(params, gates, images).argmax(-1)
        counts = [jnp.sum(part > 0) for part in self.layers(gates)]
        layers = [*self.sizes[: self._ungated], *counts, LABELS]
        left = sum(a * b for a, b in zip(layers[:-1], layers[1:], strict=True))
        total = sum(a * b for a, b in zip(self.sizes[:-1], self.sizes[1:], strict=True))
        return {
            "error": jnp.mean(chosen != labels),
            "kept": jnp.sum(gates > 0).astype(jnp.float32),
            "weights": jnp.float32(left) / total,
        }

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        if self.dataset == "Omniglot" or self.binarisation == "published":
            raise ValueError(
                "Gates needs labels of ten classes, which neither Omniglot nor MNIST's published "
                "binarisation has"
            )
        check_choice("Gates law", self.law, ("Bernoulli", "HardConcrete"))
        check_choice("Gates gated", self.gated, ("units", "all"))
        check_choice("Gates shared", self.shared, (True, False))
        check_between("Gates penalty", self.penalty, 0, math.inf)
        check_positive("Gates sharpness", self.sharpness)
        if not hidden_sizes(self.hidden, "Gates hidden"):
            raise ValueError("Gates hidden must be sizes such as 12 or 300-100, not none")
