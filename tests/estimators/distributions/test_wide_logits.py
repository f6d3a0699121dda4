"""Many classes and wide logits, where cumulative sums in float32 are not monotone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import CARMS, Categorical, ImportanceBound
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import EXAMPLES, parameter

CLASSES = 1000
KEYS = jax.random.split(jax.random.key(0), 16)

CASES = [
    parameter(example, slow=not isinstance(example, CARMS))
    for example in (*EXAMPLES, CARMS(3))
    if Categorical in example.distributions
]


@pytest.mark.first_cases(1)
@pytest.mark.usefixtures("strict_dtypes")
@pytest.mark.parametrize("example", CASES)
def test_gradients_are_finite(example):
    logits = 8 * np.random.default_rng(2).normal(size=(1, CLASSES))
    logits = jnp.asarray(logits, jnp.float32)
    example = example.initialise(jax.random.key(7), Categorical(logits))

    def loss(logits, key):
        def f(z):
            return jnp.sin(3 * (z.ravel() @ jnp.linspace(-1, 1, CLASSES)))

        q = Categorical(logits)
        if example.needs_bound:
            return example(key, q.independent(3), ImportanceBound(f))
        return example(key, q, f)

    def gradients(logits):
        return jax.lax.map(lambda key: jax.value_and_grad(loss)(logits, key), KEYS)

    for found in jax.jit(gradients, compiler_options=FAST_TO_COMPILE)(logits):
        assert np.isfinite(found).all()
