"""What distributions refuse: bad input, and too many states."""

import jax
import numpy as np
import pytest

from estimators import Bernoulli, Categorical, Normal, RelaxedBernoulli, RelaxedCategorical

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.mark.parametrize(
    ("distribution", "error", "message"),
    [
        (Bernoulli(np.zeros(3, int)), TypeError, "Bernoulli logits must be float32 or float64"),
        (Bernoulli(np.zeros(3, bool)), TypeError, "not bool"),
        (Bernoulli(np.zeros(3, np.float16)), TypeError, "not float16"),
        (Bernoulli(np.zeros(3, np.complex64)), TypeError, "not complex64"),
        (Categorical(np.zeros(3, int)), TypeError, "Categorical logits must be float32 or float64"),
        (Categorical(0.5), ValueError, r"at least two classes, not shape \(\)"),
        (Categorical(np.float32([[0.5]])), ValueError, r"at least two classes, not shape \(1, 1\)"),
        (RelaxedBernoulli(np.zeros(3, int), 1.0), TypeError, "RelaxedBernoulli logits"),
        (RelaxedBernoulli(np.zeros(3, "f"), 0.0), ValueError, "above zero and finite, not 0"),
        (RelaxedBernoulli(np.zeros(3, "f"), -1.0), ValueError, "above zero and finite, not -1"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.inf), ValueError, "above zero and finite, not inf"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.nan), ValueError, "above zero and finite, not nan"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.ones(3, int)), TypeError, "temperature must be"),
        (RelaxedBernoulli(np.zeros(3, "f"), np.ones(2, "f")), ValueError, r"not \(2,\)"),
        (RelaxedCategorical(np.zeros(3, int), 1.0), TypeError, "RelaxedCategorical logits"),
        (RelaxedCategorical(np.zeros(3, "f"), 0), ValueError, "above zero and finite, not 0"),
        (RelaxedCategorical(np.zeros((3, 1), "f"), 1.0), ValueError, "at least two classes"),
        (RelaxedCategorical(np.zeros((3, 3), "f"), np.ones(3, "f")), ValueError, r"\(3, 1\), not"),
        (Normal(np.zeros(3, int), np.zeros(3, "f")), TypeError, "Normal mean must be float32"),
        (Normal(np.zeros(3, "f"), np.zeros(3, int)), TypeError, "Normal log_scale must be float32"),
        (Normal(np.zeros(3, "f"), np.zeros(2, "f")), ValueError, r"not \(3,\) and \(2,\)"),
    ],
)
def test_check_refuses(distribution, error, message):
    with pytest.raises(error, match=message):
        distribution.check()


def test_check_admits():
    logits, normal = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)
    for distribution in (
        Bernoulli(logits),
        Bernoulli(0),
        Bernoulli(0.5),
        Categorical(logits),
        Categorical(logits[0]),
        RelaxedBernoulli(logits, 1),
        RelaxedBernoulli(logits, logits + 1),
        RelaxedCategorical(logits, 1e-3),
        RelaxedCategorical(logits, np.ones((2, 1), np.float32)),
        Normal(normal, normal),
        Normal(0, 1),
    ):
        distribution.check()
        sample = jax.eval_shape(distribution.sample, jax.random.key(22))
        assert sample.shape == distribution.event_shape
        jax.jit(lambda distribution: distribution.check())(distribution)

    @jax.jit
    def check_traced(temperature):
        RelaxedBernoulli(logits, temperature).check()
        return temperature

    check_traced(-1.0)


@pytest.mark.parametrize(
    ("distribution", "size"),
    [
        (Bernoulli(np.zeros(21, np.float32)), "2,097,152 states"),
        (Bernoulli(np.zeros((28, 28), np.float32)), r"\(28, 28\) has 10\^236 states"),
        (Categorical(np.zeros((13, 3), np.float32)), "1,594,323 states"),
        (Categorical(np.zeros((20, 10), np.float32)), r"10\^20 states"),
    ],
)
def test_too_many_states_are_refused_with_their_number(distribution, size):
    for refused in (distribution.check_enumerable, distribution.states):
        with pytest.raises(ValueError, match=rf"{size}; at most 1,048,576 are enumerated"):
            refused()


def test_a_million_states_are_enumerated():
    Bernoulli(np.zeros(20, np.float32)).check_enumerable()
    Categorical(np.zeros((10, 4), np.float32)).check_enumerable()


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError)])
def test_independent_copies_are_counted(count, error):
    with pytest.raises(error, match="num_copies"):
        Bernoulli(0.5).independent(count)
