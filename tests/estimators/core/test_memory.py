"""Memory grows with the number of classes, not with its square; read off the compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import (
    CARMS,
    Bernoulli,
    Categorical,
    Exact,
    ImportanceBound,
    LocalExpectation,
    SumAndSample,
    UnorderedSet,
)
from tests.estimators.helpers.examples import EXAMPLES, parameter

CLASSES = 50_257
"""Of GPT-2. A square of them takes 10 GB."""


def memory(example):
    """Return the bytes that one gradient needs beside its arguments."""
    shape = 1, CLASSES
    example = example.initialise(jax.random.key(7), Categorical(jnp.zeros(shape)))

    def loss(logits, weights, key):
        q = Categorical(logits)

        def f(z):
            return jnp.sin(weights @ z.ravel()) + q.log_prob(z)

        if example.needs_bound:
            return example(key, q.independent(3), ImportanceBound(f))
        return example(key, q, f)

    logits = jax.ShapeDtypeStruct(shape, "float32")
    weights = jax.ShapeDtypeStruct((CLASSES,), "float32")
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    compiled = gradient.lower(logits, weights, jax.random.key(0)).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(
    "example",
    [
        parameter(example, slow=type(example) not in (Exact, CARMS, LocalExpectation))
        for example in EXAMPLES
        if Categorical in example.distributions
    ],
)
def test_memory_is_linear_in_the_classes(example):
    """Or the estimator says how much there is to do, and refuses."""
    shape = (3, 1, CLASSES) if example.needs_bound else (1, CLASSES)
    if reason := example.refusal(Categorical(jax.ShapeDtypeStruct(shape, np.float32))):
        assert "at most 1,048,576" in reason
        return
    assert memory(example) < 1000 * 4 * CLASSES


def test_states_that_would_not_fit():
    """Of as many states as there are each takes an event; a set also a square of its size."""
    q = Categorical(jax.ShapeDtypeStruct((1, CLASSES), np.float32))
    for example in UnorderedSet(60_000), SumAndSample(60_000), UnorderedSet(50_000):
        assert "states of event shape (1, 50257) take" in example.refusal(q)
        assert "at most 268,435,456" in example.refusal(q)
    bits = Bernoulli(jax.ShapeDtypeStruct((30,), np.float32))
    assert "numbers" in UnorderedSet(2**15).refusal(bits)
    assert SumAndSample(2**15).refusal(bits) is None is UnorderedSet(1000).refusal(q)
