# pyright: reportMissingImports=false
"""The score function and the Concrete distribution of bits by NumPyro."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import numpyro
from numpyro.distributions import Bernoulli, Categorical, RelaxedBernoulli
from numpyro.infer import TraceGraph_ELBO

from experiments.benchmark.opponents.jax_rounds import rounds
from experiments.benchmark.opponents.server import Task


def tasks(request: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks."""
    for variable in ("bits", "classes"):
        make = partial(rounds, partial(_elbo, variable), request[variable], request["count"])
        yield variable, "ScoreFunction", "TraceGraph_ELBO", make

    def relaxed(key, logits, f):
        return f(RelaxedBernoulli(0.5, logits=logits).sample(key))

    make = partial(rounds, relaxed, request["bits"], request["count"])
    yield "bits", "GumbelSoftmax[temperature=0.5]", "RelaxedBernoulli", make


def _elbo(variable, key, logits, f):
    """Return the negative bound of a model whose prior is the guide: its estimate of E f."""

    def sample(logits):
        if variable == "bits":
            return numpyro.sample("z", Bernoulli(logits=logits).to_event(1))
        return jax.nn.one_hot(numpyro.sample("z", Categorical(logits=logits)), len(logits))

    def model():
        # The prior's logits are constants, or their score would be further noise.
        numpyro.factor("f", -f(sample(jax.lax.stop_gradient(logits))))

    def guide():
        sample(logits)

    return TraceGraph_ELBO().loss(key, {}, model, guide)
