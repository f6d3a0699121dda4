# pyright: reportMissingImports=false
"""Perturbed optimisers (Berthet et al. 2020) by optax: the score of the Gumbel noise."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from experiments.benchmark.opponents.jax_rounds import hard, rounds
from experiments.benchmark.opponents.server import Task


def tasks(request: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks: the law of the largest perturbed logit is the categorical one."""
    for baseline in (False, True):
        make = partial(rounds, partial(_perturbed, baseline), request["classes"], request["count"])
        yield "classes", "ScoreFunction", f"make_perturbed_fun(use_baseline={baseline})", make


def _perturbed(baseline, key, logits, f):
    from optax.perturbations import make_perturbed_fun

    perturbed: Any = make_perturbed_fun(
        lambda scores: f(hard(scores)), num_samples=1, sigma=1.0, use_baseline=baseline
    )
    return perturbed(key, logits)
