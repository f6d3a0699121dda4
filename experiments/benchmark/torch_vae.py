# pyright: reportMissingImports=false
"""The linear Bernoulli VAE in PyTorch: its estimators as losses and hand-written gradients."""

import re
from collections.abc import Callable

import torch
import torch.nn.functional as F

Tensors = list[torch.Tensor]
"""Encoder weight and bias, decoder weight and bias, prior logits; or their gradients."""

_TINY = 1e-7


class Estimator:
    """The counterpart of an estimator in PyTorch.

    Attributes:
        identity: its name in this project.
        samples: the number of noise draws of a gradient.
        loss: `loss(w, x, u)`, whose gradient is the estimate: w parameters, x images, u uniform
            noise.
        folded: `folded(w, x)(u)`, `[C, ...]` hand-written gradients of C samples, or None.
    """

    def __init__(self, identity: str, mean: torch.Tensor):
        """Find the counterpart of an estimator.

        Args:
            identity: the estimator.
            mean: the mean training image, `[784]`, on which the encoder centres images.

        Raises:
            KeyError: if there is none.
        """
        self.identity = identity
        self.samples = 1
        self.folded = None
        if temperature := temperature_of(identity):
            self.loss = gumbel_softmax(mean, temperature)
            self.folded = folded_gumbel_softmax(mean, temperature)
        elif identity == "ScoreFunction":
            self.loss = score_function(mean)
            self.folded = folded_score_function(mean)
        elif identity == "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]":
            self.loss = leave_one_out(mean)
            self.samples = 2
        elif identity == "StraightThrough":
            self.loss = straight_through(mean)
        elif identity == "DisARM":
            self.loss = disarm(mean)
        elif temperature := temperature_of(identity, "REBAR"):
            self.loss = rebar(mean, temperature)
            self.samples = 2
        else:
            raise KeyError(identity)

    def noise(self, *shape: int, device: torch.device) -> torch.Tensor:
        """Draw uniform noise whose logarithms are finite.

        The axis before the last two holds the samples of a pair.
        """
        if self.samples > 1:
            shape = *shape[:-2], self.samples, *shape[-2:]
        return torch.rand(shape, device=device).clamp_(_TINY, 1 - _TINY)


def temperature_of(identity: str, name: str = "GumbelSoftmax") -> float | None:
    """Return an estimator's temperature if it has this name, else None."""
    relaxed = re.fullmatch(rf"{name}\[temperature=([^,]+)\]", identity)
    return float(relaxed[1]) if relaxed else None


def logistic(u: torch.Tensor) -> torch.Tensor:
    """Return logistic noise from uniform noise."""
    return torch.log(u) - torch.log1p(-u)


def nll(logits: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return -log Bernoulli(b | logits), summed over the last axis."""
    return (F.softplus(logits) - b * logits).sum(-1)


def encode(w: Tensors, x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Return the logits of centred images."""
    return torch.addmm(w[1], x - mean, w[0])


def integrand(w: Tensors, x, b, logits) -> torch.Tensor:
    """Return each image's negative bound at a sample, hard or relaxed."""
    pixels = torch.addmm(w[3], 2 * b - 1, w[2])
    return nll(pixels, x) + nll(w[4].expand_as(b), b) - nll(logits, b)


# Inside the integrand log q's parameters are detached, as in the project's kl=sampled-no-score.


def score_function(mean: torch.Tensor) -> Callable:
    """Return the loss of the score function."""

    def loss(w, x, u):
        logits = encode(w, x, mean)
        fixed = logits.detach()
        b = (u < torch.sigmoid(fixed)).float()
        f = integrand(w, x, b, fixed)
        return (f - nll(logits, b) * f.detach()).mean()

    return loss


def leave_one_out(mean: torch.Tensor) -> Callable:
    """Return the loss of two samples, each with the other as its baseline."""

    def loss(w, x, u):
        logits = encode(w, x, mean)
        fixed = logits.detach()
        p = torch.sigmoid(fixed)
        b1, b2 = (u[0] < p).float(), (u[1] < p).float()
        f = integrand(w, torch.cat([x, x]), torch.cat([b1, b2]), torch.cat([fixed, fixed]))
        first, second = f.view(2, -1)
        signal = 0.5 * (first - second).detach()
        scores = nll(logits, b1) - nll(logits, b2)
        return (0.5 * (first + second) - signal * scores).mean()

    return loss


def straight_through(mean: torch.Tensor) -> Callable:
    """Return the loss of straight-through, with the derivative of the mean."""

    def loss(w, x, u):
        logits = encode(w, x, mean)
        p = torch.sigmoid(logits)
        b = (u < p.detach()).float()
        return integrand(w, x, b + p - p.detach(), logits.detach()).mean()

    return loss


def gumbel_softmax(mean: torch.Tensor, temperature: float) -> Callable:
    """Return the loss of Gumbel-softmax."""

    def loss(w, x, u):
        logits = encode(w, x, mean)
        z = torch.sigmoid((logits + logistic(u)) / temperature)
        return integrand(w, x, z, logits.detach()).mean()

    return loss


def disarm(mean: torch.Tensor) -> Callable:
    """Return the loss of DisARM: both samples of an antithetic pair in one matrix product."""

    def loss(w, x, u):
        logits = encode(w, x, mean)
        fixed = logits.detach()
        p = torch.sigmoid(fixed)
        b1, b2 = (u > 1 - p).float(), (u < p).float()
        f = integrand(w, torch.cat([x, x]), torch.cat([b1, b2]), torch.cat([fixed, fixed]))
        first, second = f.view(2, -1)
        signal = 0.5 * (first - second).detach().unsqueeze(1)
        slope = signal * (b1 - b2) * torch.sigmoid(fixed.abs())
        return (0.5 * (first + second) + (slope * logits).sum(-1)).mean()

    return loss


def rebar(mean: torch.Tensor, temperature: float) -> Callable:
    """Return the loss of REBAR at fixed temperature and eta = 1, all samples in one product."""

    def loss(w, x, u):
        logits = encode(w, x, mean)
        fixed = logits.detach()
        p = torch.sigmoid(logits)
        z = logits + logistic(u[0])
        b = (z.detach() > 0).float()
        conditional = torch.where(b > 0, u[1] * p + (1 - p), u[1] * (1 - p))
        given = logits + logistic(conditional.clamp(1e-6, 1 - 1e-6))
        soft = torch.cat([torch.sigmoid(z / temperature), torch.sigmoid(given / temperature)])
        # The decoder and the prior learn from the hard sample only.
        still = [t.detach() for t in w]
        relaxed = integrand(still, torch.cat([x, x]), soft, torch.cat([fixed, fixed]))
        free, conditioned = relaxed.view(2, -1)
        f = integrand(w, x, b, fixed)
        signal = (f - conditioned).detach()
        return (f - nll(logits, b) * signal + free - conditioned).mean()

    return loss


def folded_score_function(mean: torch.Tensor) -> Callable:
    """Return the hand-written score function: all samples of all images in one matrix product."""

    def prepare(w, x):
        logits = encode(w, x, mean)
        p = torch.sigmoid(logits)

        def gradients(u):
            b = (u < p).float()
            pixels = _pixels(w, b)
            f = nll(pixels, x) + nll(w[4].expand_as(b), b) - nll(logits.expand_as(b), b)
            return _gradients(w, x, mean, b, pixels, (b - p) * (f.unsqueeze(-1) / len(x)))

        return gradients

    return prepare


def folded_gumbel_softmax(mean: torch.Tensor, temperature: float) -> Callable:
    """Return hand-written Gumbel-softmax."""

    def prepare(w, x):
        logits = encode(w, x, mean)

        def gradients(u):
            z = torch.sigmoid((logits + logistic(u)) / temperature)
            pixels = _pixels(w, z)
            output = (torch.sigmoid(pixels) - x) / len(x)
            back = 2 * (output.view(-1, output.shape[-1]) @ w[2].t()).view_as(z)
            back = back + (logits - w[4]) / len(x)
            return _gradients(w, x, mean, z, pixels, back * z * (1 - z) / temperature)

        return gradients

    return prepare


def _pixels(w: Tensors, b: torch.Tensor) -> torch.Tensor:
    flat = torch.addmm(w[3], (2 * b - 1).view(-1, b.shape[-1]), w[2])
    return flat.view(*b.shape[:2], -1)


def _gradients(w: Tensors, x, mean, b, pixels, slope) -> Tensors:
    output = (torch.sigmoid(pixels) - x) / len(x)
    return [
        torch.matmul((x - mean).t(), slope),
        slope.sum(1),
        torch.bmm((2 * b - 1).transpose(1, 2), output),
        output.sum(1),
        (torch.sigmoid(w[4]) - b).sum(1) / len(x),
    ]
