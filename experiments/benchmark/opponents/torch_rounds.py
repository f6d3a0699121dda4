# pyright: reportMissingImports=false
"""Rounds of gradients in PyTorch, on one thread: the work of one is small."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

Draw = Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]
"""`draw(logits, count)`: `[count]` losses and `[count, K]` gradients of the logits."""


def rounds(draw: Draw, about: Mapping[str, Any], count: int) -> Callable[[], dict[str, Any]]:
    """Return a function that draws gradients."""
    torch.set_num_threads(1)
    logits = torch.tensor(about["logits"])

    def one_round() -> dict[str, Any]:
        start = time.perf_counter()
        losses, gradients = draw(logits, count)
        seconds = time.perf_counter() - start
        return {
            "value": seconds / count,
            "losses": losses.tolist(),
            "gradients": gradients.tolist(),
        }

    return one_round


def quadratic(about: Mapping[str, Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return f(z) = (w . z - c)^2 over the last axis."""
    weights, centre = torch.tensor(about["weights"]), about["centre"]
    return lambda z: ((weights * z).sum(-1) - centre) ** 2
