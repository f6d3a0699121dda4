# pyright: reportMissingImports=false
"""The score function and Concrete distributions by TensorFlow Probability on JAX."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
from tensorflow_probability.substrates import jax as tfp

from experiments.benchmark.opponents.jax_rounds import rounds
from experiments.benchmark.opponents.server import Task

tfd = tfp.distributions


def tasks(request: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks."""
    laws = {
        "bits": lambda logits: tfd.Independent(tfd.Bernoulli(logits, dtype=jnp.float32), 1),
        "classes": lambda logits: tfd.OneHotCategorical(logits, dtype=jnp.float32),
    }
    relaxed = {
        "bits": ("RelaxedBernoulli", tfd.RelaxedBernoulli),
        "classes": ("RelaxedOneHotCategorical", tfd.RelaxedOneHotCategorical),
    }
    for variable, law in laws.items():
        about, count = request[variable], request["count"]
        make = partial(rounds, partial(_score, law), about, count)
        yield variable, "ScoreFunction", "monte_carlo.expectation", make
        name, concrete = relaxed[variable]
        make = partial(rounds, partial(_pathwise, concrete), about, count)
        yield variable, "GumbelSoftmax[temperature=0.5]", name, make


def _score(law, key, logits, f):
    return tfp.monte_carlo.expectation(
        lambda samples: jnp.stack([f(samples[0])]),
        samples=law(logits).sample(1, seed=key),
        log_prob=law(logits).log_prob,
        use_reparameterization=False,
    )


def _pathwise(law, key, logits, f):
    return f(law(0.5, logits=logits).sample(seed=key))
