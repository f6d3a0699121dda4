# pyright: reportMissingImports=false
"""ReinMax by its authors' package: all gradients of a round are one batch."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from reinmax import reinmax

from experiments.benchmark.opponents.server import Task
from experiments.benchmark.opponents.torch_rounds import quadratic, rounds


def tasks(request: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks."""
    about = request["classes"]
    f = quadratic(about)
    for temperature in (1.0, 1.5):

        def draw(logits, count, temperature=temperature):
            rows = logits.expand(count, -1).clone().requires_grad_()
            losses = f(reinmax(rows, temperature)[0])
            (gradients,) = torch.autograd.grad(losses.sum(), rows)
            return losses, gradients

        make = partial(rounds, draw, about, request["count"])
        yield "classes", f"ReinMax[temperature={temperature}]", f"reinmax(tau={temperature})", make
