# pyright: reportMissingImports=false
"""The estimators of Storchastic, one gradient after another: its costs are global state."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import storch
import torch
from storch import method
from torch.distributions import Bernoulli, OneHotCategorical

from experiments.benchmark.opponents.server import Task
from experiments.benchmark.opponents.torch_rounds import quadratic, rounds

_LAWS = {"bits": Bernoulli, "classes": OneHotCategorical}


def tasks(request: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks."""
    for variable in _LAWS:
        about = request[variable]
        for estimator, call, make in _methods(variable, storch.deterministic(quadratic(about))):
            draw = partial(_draw, variable, make, quadratic(about))
            yield variable, estimator, call, partial(rounds, draw, about, request["count"])


def _methods(variable: str, f: Callable) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield our estimator, the call, and a function that makes the method."""
    score = partial(method.ScoreFunction, "z")
    yield "ScoreFunction", "ScoreFunction", score
    pair = "ScoreFunction[baseline=LeaveOneOut[num_samples=2]]"
    batch = partial(score, n_samples=2, baseline_factory="batch_average")
    yield pair, "ScoreFunction(batch_average)", batch
    moving = partial(score, baseline_factory="moving_average")
    yield "ScoreFunction", "ScoreFunction(moving_average)", moving
    yield "Exact", "Expect", partial(method.Expect, "z")
    for straight, ours in ((False, "GumbelSoftmax"), (True, "StraightThroughGumbelSoftmax")):
        make = partial(
            method.GumbelSoftmax, "z", straight_through=straight, initial_temperature=0.5
        )
        call = f"GumbelSoftmax(straight_through={straight})"
        yield f"{ours}[temperature=0.5]", call, make
    yield "REBAR[temperature=1.0]", "REBAR", partial(method.REBAR, "z")
    # A control variate c = f is REBAR's.
    yield "REBAR[temperature=1.0]", "RELAX(c_phi=f)", partial(method.RELAX, "z", c_phi=f)
    if variable == "bits":
        yield "ARM", "ARM", partial(method.ARM, "z")
        yield "DisARM", "DisARM", partial(method.DisARM, "z")
    else:
        for exact in (False, True):
            make = partial(method.UnorderedSetEstimator, "z", k=2, exact_integration=exact)
            call = f"UnorderedSetEstimator(exact_integration={exact})"
            yield "UnorderedSet[num_samples=2]", call, make


def _draw(variable, make, f, logits, count):
    method, cost = make(), storch.deterministic(f)
    losses, gradients = [], []
    try:
        for _ in range(count):
            live = logits.clone().requires_grad_()
            storch.add_cost(cost(method(_LAWS[variable](logits=live))), "f")
            losses.append(storch.backward(update_estimator_params=False).detach())
            gradients.append(live.grad)
    finally:
        storch.reset()  # after an error, costs would be left to the next method
    return torch.stack(losses), torch.stack(gradients)
