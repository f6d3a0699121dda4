"""Semi-supervised classification of images: few labels, many unlabelled images."""

import dataclasses
import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Categorical, Distribution, Estimator, Normal, Pathwise
from estimators.checks import check_between, check_choice, check_count
from experiments import data as data_sets
from experiments.data import Binarisation, Dataset, Split
from experiments.problems.images import ImageProblem, log_odds
from experiments.problems.networks import hidden_sizes
from experiments.problems.problem import Params
from experiments.problems.stochastic_network import Network, cross_entropy, square
from experiments.system.errors import UsageError

LABELS = 10
"""Number of classes that have labels."""

_SEED = 2017  # selects the images that keep their labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class SemiSupervised(ImageProblem):
    r"""The model M2 of Kingma et al. 2014: classes y and styles z of an image x, in nats per image.

    $p(x, y, z) = p(y) p(z) p(x \mid y, z)$ with y uniform, z standard normal and independent
    Bernoulli pixels; $q(y, z \mid x) = q(y \mid x) q(z \mid x, y)$, categorical and normal.

        L(x, y) = E_{q(z|x,y)}[-log p(x|y,z)] + KL(q(z|x,y) || p(z)) - log p(y)
        U(x)    = E_{q(y|x)}[L(x, y)] - H(q(y|x))
        loss    = mean over labelled of (L(x, y) - alpha log q(y|x)) + mean over unlabelled of U(x)

    The estimator takes the expectation over y; `Exact` marginalises. Its f is L without the
    constant -log p(y) = log K, which together with the entropy is the divergence of q(y|x) from the
    uniform prior, computed in closed form outside f. The expectation over z is pathwise, with one
    sample, whose noise is shared by all y of an image. Kingma et al. 2014 (arXiv:1406.5298), Jang
    et al. 2017 (arXiv:1611.01144), section 4.3.

    Jang et al. do not state the sizes of the style, the networks or the minibatch, nor which alpha
    of 0.1, 0.2, 0.3, 0.8 and 1 they chose. The defaults are this project's choice.

    Args:
        size: number of style variables z.
        classes: K. Classes beyond the ten labelled ones have no labels; they serve to measure speed
            against K.
        alpha: weight of the labelled images' cross-entropy.
        num_labelled: training images that keep their labels, equally many per class, always the
            same images. All others are unlabelled.
        labelled_batch_size: labelled images in a minibatch; `batch_size` counts unlabelled ones.
        network: "convolutional": q(y|x) and q(z|x,y) are three 3 x 3 convolutions of stride 2 with
            16, 32 and 64 channels and a linear map, where y is a bias of the third; p(x|y,z)
            mirrors them with four transposed convolutions. "dense": dense layers on the
            concatenated inputs.
        hidden: hidden layers of the dense q(y|x) and q(z|x,y), such as 512-256, reversed in
            p(x|y,z); "" makes them linear. All networks use rectifiers.
    """

    group = "classifier"  # the network of q(y|x), where estimators differ
    default_samples = 64  # one gradient takes 0.1 s

    binarisation: Binarisation = "dynamic"
    size: int = 64
    classes: int = LABELS
    alpha: float = 0.1
    num_labelled: int = 100
    labelled_batch_size: int = 100
    network: Literal["convolutional", "dense"] = "convolutional"
    hidden: str | int = ""

    @property
    def objective(self) -> str:
        """The weight of the labelled images' cross-entropy."""
        return f"alpha={self.alpha}"

    @property
    def about_data(self) -> str:
        """The data set, its binarisation, and how many labels it keeps."""
        return f"{super().about_data}, {self.num_labelled} labels"

    @property
    def _networks(self) -> dict[str, Network]:
        from experiments.problems.semi_supervised_networks import networks

        return networks(self.network, hidden_sizes(self.hidden), self.classes, self.size)

    def initial(self, key: jax.Array) -> Params:
        """Return initial parameters of `classifier`, `encoder` and `decoder`; `key` is consumed."""
        keys = jax.random.split(key, 3)
        pairs = zip(self._networks.items(), keys, strict=True)
        return {name: initial(key) for (name, (initial, _)), key in pairs}

    def _apply(self, params: Params, name: str, *inputs: jax.Array) -> jax.Array:
        return self._networks[name][1](params[name], inputs)

    def _centred(self, images: jax.Array) -> jax.Array:
        return images - jnp.broadcast_to(self.mean_image, images.shape)

    def classify(self, params: Params, images: jax.Array) -> jax.Array:
        """Return the logits of q(y|x), `[..., K]`, for images `[..., 784]`."""
        return self._apply(params, "classifier", self._centred(images))

    def style(self, params: Params, image: jax.Array, y: jax.Array) -> Normal:
        """Return q(z|x,y) for an image `[784]` and a class `[K]`, one-hot or relaxed."""
        parameters = self._apply(params, "encoder", self._centred(image), y)
        return Normal(*jnp.split(parameters, 2))

    def pixel_logits(self, params: Params, y: jax.Array, z: jax.Array) -> jax.Array:
        """Return the logits `[784]` of p(x|y,z); the network adds to the mean image's log-odds."""
        return self._apply(params, "decoder", y, z) + log_odds(self.mean_image)

    def bound(self, params: Params, key: jax.Array, image: jax.Array, y: jax.Array) -> jax.Array:
        """Return an estimate of L(x, y) + log p(y) in nats; `key` is consumed, for z.

        Args:
            params: the parameters.
            key: a typed random key.
            image: `[784]`.
            y: `[K]`, one-hot or relaxed.
        """
        style = self.style(params, image, y)

        def reconstruction(z):
            return cross_entropy(self.pixel_logits(params, y, z), image)

        return Pathwise()(key, style, reconstruction) + style.kl(_prior(style))

    def loss(self, params: Params, estimator: Estimator, key: jax.Array, batch: Any) -> jax.Array:
        """Return the estimate of the loss in nats; `key` is consumed.

        Every image has its own keys, hence independent noise: one for z and, if unlabelled, one for
        y.
        """
        labelled_key, unlabelled_key = jax.random.split(key)

        def labelled(key, image, label, logits):
            y = jax.nn.one_hot(label, self.classes, dtype=logits.dtype)
            bound = self.bound(params, key, image, y) + math.log(self.classes)
            return bound - self.alpha * Categorical(logits).log_prob(y)

        def unlabelled(key, image, logits):
            class_key, style_key = jax.random.split(key)
            posterior = Categorical(logits[None])
            uniform = Categorical(jnp.zeros_like(posterior.logits))

            def f(y):
                return self.bound(params, style_key, image, y[0])

            return estimator(class_key, posterior, f) + posterior.kl(uniform)

        def mean(function, key, images, *rest):
            keys = jax.random.split(key, len(images))
            return jax.vmap(function)(keys, images, *rest).mean()

        images, others = batch["images"], batch["unlabelled"]
        logits = self.classify(params, others)
        if "logits" in params:
            logits += params["logits"]
        supervised = mean(
            labelled, labelled_key, images, batch["labels"], self.classify(params, images)
        )
        return supervised + mean(unlabelled, unlabelled_key, others, logits)

    def exact_loss(self, params: Params, batch: Any) -> None:
        """Return None: z cannot be enumerated, so noise remains under `Exact`."""

    def measured_params(self, params: Params, batch: Any) -> Params:
        """Add `logits`: zeros added to the logits of q(y|x) of each unlabelled image."""
        return params | {"logits": jnp.zeros((len(batch["unlabelled"]), self.classes))}

    def distribution(self, params: Params, batch: Any) -> Distribution:
        """Return q(y|x) of the first unlabelled image, of event `[1, K]`."""
        return Categorical(self.classify(params, batch["unlabelled"][0])[None])

    def data(self, split: Split = "train") -> Any:
        """Return a split's images, uint8 `[N, 784]`, and their labels `[N]`, by name.

        For the training split these are the labelled images; `unlabelled` holds all others.
        """
        images = super().data(split)
        # Bytes would wrap with more than 256 classes.
        labels = data_sets.load(self.dataset, split).labels.astype(np.int32)
        if split != "train":
            return {"images": images, "labels": labels}
        chosen = _labelled(self.dataset, self.num_labelled)
        return {
            "images": images[chosen],
            "labels": labels[chosen],
            "unlabelled": np.delete(images, chosen, axis=0),
        }

    def batch(self, key: jax.Array, data: Any) -> dict[str, jax.Array]:
        """Return images drawn with replacement, float32 `[..., 784]`, and labels, by name.

        `key` is consumed. The names are those of `data`; the labels belong to the `images`.
        """
        keys = jax.random.split(key, 4)

        def drawn(key, size, images):
            return jax.random.randint(key, (size,), 0, len(images))

        images, unlabelled = jnp.asarray(data["images"]), jnp.asarray(data["unlabelled"])
        chosen = drawn(keys[0], self.labelled_batch_size, images)
        others = drawn(keys[1], self.batch_size, unlabelled)
        return {
            "images": super().examples(keys[2], images[chosen]),
            "labels": jnp.asarray(data["labels"])[chosen],
            "unlabelled": super().examples(keys[3], unlabelled[others]),
        }

    def examples(self, key: jax.Array, data: Any) -> Any:
        """Return the images of a split that have labels, float32 `[N, 784]`, and the labels `[N]`.

        `key` is consumed.
        """
        return super().examples(key, data["images"]), jnp.asarray(data["labels"])

    def log_weight(self, params: Params, key: jax.Array, example: Any) -> jax.Array:
        """Return log p(x, y, z) - log q(y, z | x) of one hard sample, in nats, without the label.

        `key` is consumed.
        """
        image, _ = example
        class_key, style_key = jax.random.split(key)
        posterior = Categorical(self.classify(params, image))
        y = posterior.sample(class_key)
        style = self.style(params, image, y)
        z = style.sample(style_key)
        log_joint = _prior(style).log_prob(z) - math.log(self.classes)
        log_joint -= cross_entropy(self.pixel_logits(params, y, z), image)
        return log_joint - posterior.log_prob(y) - style.log_prob(z)

    def example_scores(self, params: Params, example: Any) -> dict[str, jax.Array]:
        """Return the `accuracy` on one example: 1 if q(y|x) is largest at the label, else 0."""
        image, label = example
        return {"accuracy": (self._most_likely(params, image) == label).astype(jnp.float32)}

    def pictures(self, params: Params, key: jax.Array, examples: Any) -> dict[str, jax.Array]:
        """Return `analogies`: a row for the style of each image, a column for each class.

        The style is the mean of q(z|x,y) at the most likely class. Fig. 5b of the paper.
        """
        images, _ = examples

        def row(image):
            y = jax.nn.one_hot(self._most_likely(params, image), self.classes, dtype=image.dtype)
            z = self.style(params, image, y).mean

            def mean(y):
                return square(jax.nn.sigmoid(self.pixel_logits(params, y, z)))

            return jax.vmap(mean)(jnp.eye(self.classes, dtype=image.dtype))

        return {"analogies": jax.vmap(row)(images[:10])}

    def _most_likely(self, params: Params, image: jax.Array) -> jax.Array:
        return jnp.argmax(self.classify(params, image))

    def check(self) -> None:
        """Raise if a setting is out of range."""
        super().check()
        name = type(self).__name__
        if self.dataset == "Omniglot" or self.binarisation == "published":
            raise ValueError(
                f"{name} needs labels of ten classes, which neither Omniglot nor MNIST's published "
                "binarisation has"
            )
        check_choice(f"{name} network", self.network, ("convolutional", "dense"))
        if hidden_sizes(self.hidden, f"{name} hidden") and self.network != "dense":
            raise ValueError(f"{name} hidden is for network=dense, not {self.network}")
        check_count(f"{name} size", self.size, 1)
        check_count(f"{name} classes", self.classes, LABELS)
        check_count(f"{name} labelled_batch_size", self.labelled_batch_size, 1)
        check_count(f"{name} num_labelled", self.num_labelled, LABELS)
        if self.num_labelled % LABELS:
            raise ValueError(
                f"{name} num_labelled must be a multiple of {LABELS}, equally many of each class, "
                f"not {self.num_labelled}"
            )
        check_between(f"{name} alpha", self.alpha, 0, math.inf)


def _prior(style: Normal) -> Normal:
    """Return p(z), with the style's shape and type."""
    zero = jnp.zeros_like(style.mean)
    return Normal(zero, zero)


@functools.cache
def _labelled(dataset: Dataset, count: int) -> np.ndarray:
    """Return the indices of the training images that keep their labels, `[count]`, ascending.

    Raises:
        UsageError: if a class has too few images.
    """
    labels = data_sets.load(dataset, "train").labels
    generator, chosen = np.random.default_rng(_SEED), []
    for label in range(LABELS):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) <= count // LABELS:
            raise UsageError(
                f"num_labelled={count} leaves no image of class {label} unlabelled: "
                f"of {dataset}'s training images, {len(members):,} are of that class"
            )
        chosen.append(members[: count // LABELS])
    return np.sort(np.concatenate(chosen))
