# pyright: reportMissingImports=false
"""Soft argmax and step function by SoftJAX, at perturbed logits: Gumbel-softmax."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import softjax

from experiments.benchmark.opponents.jax_rounds import rounds
from experiments.benchmark.opponents.server import Task

_SOFT = "GumbelSoftmax[temperature=0.5]"
_HARD = "StraightThroughGumbelSoftmax[temperature=0.5]"


def tasks(request: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks; by default its argmax standardises the logits."""
    count = request["count"]
    for estimator, ending in ((_SOFT, ""), (_HARD, "_st")):
        step, argmax = (getattr(softjax, f"{name}{ending}") for name in ("heaviside", "argmax"))
        make = partial(rounds, partial(_step, step), request["bits"], count)
        yield "bits", estimator, f"heaviside{ending}", make
        for options, said in (({}, ""), ({"standardize": False}, "(standardize=False)")):
            loss = partial(_argmax, partial(argmax, softness=0.5, **options))
            make = partial(rounds, loss, request["classes"], count)
            yield "classes", estimator, f"argmax{ending}{said}", make


def _step(step, key, logits, f):
    return f(step(logits + jax.random.logistic(key, logits.shape), softness=0.5))


def _argmax(argmax, key, logits, f):
    return f(argmax(logits + jax.random.gumbel(key, logits.shape)))
