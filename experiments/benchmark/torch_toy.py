# pyright: reportMissingImports=false
"""The single-bit toy in PyTorch, f(b) = (b - target)^2: gradients in closed form."""

import math
from collections.abc import Callable

import torch

from experiments.benchmark.torch_vae import logistic, temperature_of

_TINY = 1e-7

Gradient = Callable[[torch.Tensor], torch.Tensor]


def toy_gradient(identity: str, target: float, logit: float) -> Gradient | None:
    """Return `gradient(u)`, one gradient for each uniform number, or None for other estimators."""
    p = 1 / (1 + math.exp(-logit))
    if identity == "ScoreFunction":

        def score_function(u):
            b = (u < p).float()
            return (b - target) ** 2 * (b - p)

        return score_function

    if temperature := temperature_of(identity):

        def gumbel_softmax(u):
            noise = logistic(u.clamp(_TINY, 1 - _TINY))
            z = torch.sigmoid((logit + noise) / temperature)
            return 2 * (z - target) * z * (1 - z) / temperature

        return gumbel_softmax
    return None
