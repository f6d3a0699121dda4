"""What a caller gets wrong raises at once, and says what is allowed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
from estimators import (
    DARN,
    MLP,
    NVIL,
    ArrivalTimes,
    Average,
    Bernoulli,
    Categorical,
    DoubleCV,
    GumbelSoftmax,
    HardConcrete,
    ImportanceBound,
    InvertibleGaussian,
    LeaveOneOut,
    MovingAverage,
    MuProp,
    Normal,
    Pathwise,
    Poisson,
    RelaxedBernoulli,
    RelaxedCategorical,
    RelaxedCount,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    StraightThroughGumbelSoftmax,
    SumAndSample,
    UnorderedSet,
    pytree,
    replace_gradient,
    stack,
)
from tests.estimators.helpers.enumeration import FAST_TO_COMPILE
from tests.estimators.helpers.examples import EXAMPLES, FIRST, is_first, parameter
from tests.estimators.helpers.problems import BOUNDS, PROBLEMS

KEY = jax.random.key(0)
BITS = Bernoulli(jnp.zeros(3))
HELD = r"float32 holds 1.2e-38 to 3.4e\+38"


@pytest.fixture(params=FIRST, ids=str)
def example(request):
    estimator = request.param
    problems = BOUNDS if estimator.needs_bound else PROBLEMS
    distribution = problems[estimator.distributions[0]].layer(0)
    return estimator.initialise(KEY, distribution), distribution


def objective(estimator, f):
    return ImportanceBound(f) if estimator.needs_bound else f


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (jax.random.PRNGKey(0), TypeError, "legacy"),
        (0, TypeError, "typed random key"),
        (None, TypeError, "typed random key"),
        (jax.random.split(KEY, 3), ValueError, r"one key, not \(3,\): batch with jax.vmap"),
    ],
    ids=["legacy", "integer", "none", "batch"],
)
def test_keys(example, key, error, message):
    estimator, distribution = example
    with pytest.raises(error, match=message):
        estimator(key, distribution, jnp.sum)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda z: z, ValueError, "must map one sample to a scalar, but returned shape .*jax.vmap"),
        (lambda z: z.ravel()[:1], ValueError, r"returned shape \(1,\)"),
        (lambda z: 1, TypeError, "must return a floating-point number, but returned int"),
        (lambda z: None, TypeError, "to a scalar, but returned None: does it lack a return"),
        (lambda z: "0", TypeError, "to a scalar, but returned a str: return the loss alone"),
        (lambda z: (z.sum(), z), TypeError, "to a scalar, but returned a tuple: return the loss"),
        (lambda z: [z.sum()], TypeError, "to a scalar, but returned a list: return the loss"),
        (lambda z: {"loss": z.sum()}, TypeError, "to a scalar, but returned a dict: return the"),
        (
            lambda z: z.sum() > 0,
            TypeError,
            "must return a floating-point number, but returned bool",
        ),
        (
            lambda z: z.sum() * 1j,
            TypeError,
            "must return a floating-point number, but returned complex",
        ),
    ],
    ids=["array", "one", "integer", "None", "str", "tuple", "list", "dict", "boolean", "complex"],
)
def test_values_of_f(example, f, error, message):
    estimator, distribution = example
    with pytest.raises(error, match=message):
        jax.eval_shape(lambda: estimator(KEY, distribution, objective(estimator, f)))


def test_not_a_distribution(example):
    with pytest.raises(TypeError, match=f"{type(example[0]).__name__} takes .*, not "):
        example[0](KEY, jnp.zeros(3), jnp.sum)


@pytest.mark.parametrize("wrong", [None, "text", 1, jnp.ones(2), jnp.ones((), int)], ids=repr)
def test_what_estimate_returns(wrong):
    @pytree
    class Wrong(ScoreFunction):
        def estimate(self, key, distribution, f):
            return wrong

    with pytest.raises(TypeError, match=r"^Wrong\.estimate must return a"):
        Wrong()(KEY, BITS, jnp.sum)


def test_stacks_must_be_mapped_over(example):
    estimator, distribution = example
    if not jax.tree.leaves(estimator):
        pytest.skip("no leaf to stack")
    with pytest.raises(ValueError, match=r"of shape \(2,\).*jax.vmap"):
        stack([estimator, estimator])(KEY, distribution, objective(estimator, jnp.sum))


@pytest.mark.parametrize(
    ("distribution", "error", "message"),
    [
        (Bernoulli(jnp.zeros(3, int)), TypeError, "float32 or float64, not int32"),
        (Bernoulli(jnp.zeros(3, bool)), TypeError, "float32 or float64, not bool"),
        (Bernoulli(jnp.zeros(3, jnp.bfloat16)), TypeError, "float32 or float64, not bfloat16"),
        (Bernoulli(jnp.zeros(3, complex)), TypeError, "float32 or float64, not complex64"),
        (Bernoulli(jnp.array([0.0, jnp.nan])), ValueError, "Bernoulli logits must not be NaN"),
        (
            Categorical(jnp.array([0.0, jnp.inf])),
            ValueError,
            "Categorical logits must be finite, or",
        ),
        (
            Categorical(jnp.array([0.0, jnp.nan])),
            ValueError,
            "Categorical logits must be finite, or",
        ),
        (
            Categorical(jnp.array([[0.0, 1.0], [-jnp.inf, -jnp.inf]])),
            ValueError,
            "Categorical logits must allow a class of each variable",
        ),
        (Bernoulli([0.1, 0.2]), TypeError, "Bernoulli logits must be a number"),
        (Bernoulli(None), TypeError, "Bernoulli logits must be a number"),
        (Categorical(jnp.zeros((2, 3), int)), TypeError, "float32 or float64, not int32"),
        (Categorical(jnp.zeros(())), ValueError, r"at least two classes, not shape \(\)"),
        (Categorical(jnp.zeros((3, 1))), ValueError, r"at least two classes, not shape \(3, 1\)"),
        (Normal(jnp.zeros(3), jnp.zeros(2)), ValueError, r"one shape, not \(3,\) and \(2,\)"),
        (Normal(jnp.zeros(3, int), jnp.zeros(3)), TypeError, "mean must be float32 or float64"),
        (RelaxedBernoulli(jnp.zeros(3), -1.0), ValueError, "temperature must be above zero"),
        (RelaxedBernoulli(jnp.zeros(3), 0), ValueError, "temperature must be above zero"),
        (RelaxedBernoulli(jnp.zeros(3), np.nan), ValueError, "temperature must be above zero"),
        (RelaxedBernoulli(jnp.zeros(3), "cold"), TypeError, "temperature must be a number"),
        (RelaxedBernoulli(jnp.zeros(3), jnp.ones(2)), ValueError, r"not \(2,\)"),
        (RelaxedCategorical(jnp.zeros(3), -1.0), ValueError, "temperature must be above zero"),
        (RelaxedCategorical(jnp.zeros((2, 1)), 1.0), ValueError, "at least two classes"),
        (RelaxedCategorical(jnp.zeros((2, 3)), jnp.ones(3)), ValueError, r"not \(3,\)"),
    ],
)
def test_distributions(distribution, error, message):
    with pytest.raises(error, match=message):
        ScoreFunction()(KEY, distribution, jnp.sum)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (GumbelSoftmax(0), ValueError, "GumbelSoftmax temperature must be above zero and finite"),
        (GumbelSoftmax(-1.0), ValueError, "temperature must be above zero"),
        (GumbelSoftmax(np.nan), ValueError, "temperature must be above zero"),
        (GumbelSoftmax(np.inf), ValueError, "temperature must be above zero"),
        (
            GumbelSoftmax(1e-300),
            ValueError,
            f"not 1e-300: {HELD}",
        ),
        (GumbelSoftmax(1e39), ValueError, rf"not 1e\+39: {HELD}"),
        (GumbelSoftmax(10**39), ValueError, rf"not 1e\+39: {HELD}"),
        (DoubleCV(2, 1e39), ValueError, rf"alpha must be finite, not 1e\+39: {HELD}"),
        (
            GumbelSoftmax("cold"),
            TypeError,
            "temperature must be a number or an array of numbers, not 'cold'",
        ),
        (
            GumbelSoftmax(None),
            TypeError,
            "temperature must be a number or an array of numbers, not None",
        ),
        (StraightThroughGumbelSoftmax(0), ValueError, "temperature must be above zero"),
        (SlopeAnnealedStraightThrough(0), ValueError, "slope must be above zero"),
        (SlopeAnnealedStraightThrough(1, "relu"), ValueError, "one of sigmoid, hard_sigmoid"),
        (StraightThrough("median"), ValueError, "one of mean, identity, not 'median'"),
        (DARN("quarter"), ValueError, "one of sample, half, not 'quarter'"),
        (ScoreFunction(3.0), TypeError, "must be a baseline or None"),
        (ScoreFunction(LeaveOneOut), TypeError, "must be a baseline or None"),
        (ScoreFunction(LeaveOneOut(1)), ValueError, "num_samples must be at least 2, not 1"),
        (ScoreFunction(LeaveOneOut(2.0)), TypeError, "num_samples must be an integer"),
        (ScoreFunction(MovingAverage(1.0)), ValueError, "decay must be at least 0 and below 1"),
        (ScoreFunction(MovingAverage(-0.1)), ValueError, "decay must be at least 0 and below 1"),
        (ScoreFunction(MovingAverage(0.9, "low")), TypeError, "value must be a number"),
        (ScoreFunction(NVIL(1.0)), ValueError, "decay must be at least 0 and below 1"),
        (ScoreFunction(NVIL(variance=-1.0)), ValueError, "variance must be at least 0"),
        (ScoreFunction(NVIL(network=3)), TypeError, "network must be an MLP or None"),
        (ScoreFunction(NVIL(network=MLP(0))), ValueError, "hidden must be at least 1"),
        (ScoreFunction(NVIL()), ValueError, r"no weights yet: call estimator.initialise"),
        (
            ScoreFunction(NVIL(network=None, value=jnp.zeros(3))),
            ValueError,
            r"baseline.value of shape \(3,\)",
        ),
        (UnorderedSet(0), ValueError, "num_samples must be at least 1"),
        (SumAndSample(2.0), TypeError, "num_samples must be an integer"),
        (Average(MuProp, 2), TypeError, "takes an estimator"),
        (Average(Average(MuProp(), 2), 2), TypeError, "not an Average"),
        (Average(MuProp(), 0), ValueError, "num_samples must be at least 1"),
        (Average(GumbelSoftmax(0), 2), ValueError, "temperature must be above zero"),
    ],
)
def test_hyperparameters(estimator, error, message):
    with pytest.raises(error, match=message):
        estimator(KEY, BITS, jnp.sum)


def test_numbers_in_a_text():
    with pytest.raises(ValueError, match=rf"not 1e\+39: {HELD}"):
        estimators.parse("GumbelSoftmax[1e39]")


def test_traced_values_are_not_refused():
    """They have no value yet; and neither building nor mapping an estimator checks anything."""
    estimate = jax.jit(lambda temperature: GumbelSoftmax(temperature)(KEY, BITS, jnp.sum))
    assert np.isnan(estimate(-1.0))
    decay = jax.jit(lambda decay: ScoreFunction(MovingAverage(decay))(KEY, BITS, jnp.sum))
    assert np.isnan(decay(7.0))
    estimators_below_zero = GumbelSoftmax(jnp.asarray([-1.0, -2.0]))
    mapped = jax.vmap(lambda estimator: estimator(KEY, BITS, jnp.sum))(estimators_below_zero)
    assert np.isnan(mapped).all()
    # What JAX puts in the leaves' place: axis numbers, gradients, nothing at all.
    axes = jax.tree.map(lambda _: 0, GumbelSoftmax(0.5))
    jax.vmap(lambda estimator: estimator.temperature, in_axes=(axes,))(estimators_below_zero)
    jax.tree.map(lambda _: None, GumbelSoftmax(0.5))


@pytest.mark.parametrize("num_copies", [0, -1])
def test_copies(num_copies):
    with pytest.raises(ValueError, match="at least 1"):
        BITS.independent(num_copies)


def test_log_weights_of_a_bound():
    for log_weight, error in ((lambda z: z, ValueError), (lambda z: 1, TypeError)):
        with pytest.raises(error, match="f must"):
            ScoreFunction()(KEY, BITS.independent(2), ImportanceBound(log_weight))


def test_pathwise_has_no_discrete_distribution():
    with pytest.raises(TypeError, match="Pathwise takes Normal.*, not Bernoulli"):
        Pathwise()(KEY, BITS, jnp.sum)


@pytest.mark.first_cases(6)
@pytest.mark.first_cases(9)
@pytest.mark.parametrize(
    ("logits_type", "f_type"),
    [("float32", "bfloat16"), ("float32", "float64"), ("float64", "float32")],
)
@pytest.mark.parametrize(
    "estimator",
    [
        ScoreFunction(NVIL()),
        ScoreFunction(LeaveOneOut(2)),
        MuProp(),
        DARN("half"),
        UnorderedSet(3),
        SumAndSample(3),
    ],
    ids=str,
)
def test_f_may_be_of_another_precision(estimator, logits_type, f_type):
    """Gradients have the types of what they belong to, as with plain JAX functions."""
    with jax.enable_x64(True):
        q = Bernoulli(jnp.asarray([0.3, -0.5], logits_type))

        def loss(q, estimator):
            return estimator(KEY, q, lambda z: (2 * z[0] + z[1]).astype(f_type))

        @jax.jit
        def gradients_and_point(q, estimator):
            point = q, estimator.initialise(KEY, q)
            return jax.grad(loss, (0, 1))(*point), point

        gradients, point = gradients_and_point(q, estimator)
        for found, wanted in zip(jax.tree.leaves(gradients), jax.tree.leaves(point), strict=True):
            assert found.dtype == wanted.dtype
            assert np.isfinite(found).all()


OUT_OF_RANGE = {
    **dict.fromkeys(
        ("temperature", "forward_temperature", "backward_temperature", "slope", "step"), -1.0
    ),
    **{"gap": -1.0, "gamma": 1.5, "decay": 1.0, "variance": -1.0, "penalty": -1.0},
}
"""What checks refuse of every field that has a range."""


def ranged(estimator):
    """Return paths to the fields that have a range, as `hyperparameters` names them."""
    for name, value in estimator.hyperparameters().items():
        if name.split(".")[-1] in OUT_OF_RANGE and value is not None:
            yield name


RANGED = [
    parameter(example, example, name, slow=not is_first(example), name=f"{example} {name}")
    for example in EXAMPLES
    for name in ranged(example)
]


@pytest.mark.parametrize(("estimator", "name"), RANGED)
def test_hyperparameters_that_are_traced(estimator, name):
    """Refused where they are known; where they cannot be, value and gradient are NaN."""
    *parts, field = name.split(".")
    problems = BOUNDS if estimator.needs_bound else PROBLEMS
    distribution = problems[estimator.distributions[0]].layer(0)
    estimator = estimator.initialise(KEY, distribution)
    f = objective(estimator, lambda z: jnp.sin(z).sum())

    def loss(distribution, number):
        changed = [estimator]
        for part in parts:
            changed.append(getattr(changed[-1], part))
        inner = dataclasses.replace(changed[-1], **{field: number})
        for part, outer in zip(parts[::-1], changed[-2::-1], strict=True):
            inner = dataclasses.replace(outer, **{part: inner})
        return inner(KEY, distribution, f)

    with pytest.raises(ValueError, match=f"{field} must be "):
        loss(distribution, OUT_OF_RANGE[field])
    gradient = jax.jit(jax.value_and_grad(loss), compiler_options=FAST_TO_COMPILE)
    for leaf in jax.tree.leaves(gradient(distribution, OUT_OF_RANGE[field])):
        assert np.isnan(leaf).all()
    for leaf in jax.tree.leaves(gradient(distribution, 0.5)):
        assert np.isfinite(leaf).all()


def test_every_field_with_a_range_is_tried():
    """A check that refuses a number belongs to a field of the table above."""
    for example in EXAMPLES:
        for name, value in example.hyperparameters().items():
            if not isinstance(value, jax.Array) or "." in name or name in OUT_OF_RANGE:
                continue
            for number in (-1.0, 1.5, 2.0):
                dataclasses.replace(example, **{name: number}).check()


@pytest.mark.parametrize("temperature", [-1.0, 0.0, np.inf, np.nan])
def test_a_relaxed_distribution_whose_temperature_is_traced(temperature):
    def loss(logits, temperature):
        return Pathwise()(KEY, RelaxedBernoulli(logits, temperature), lambda z: jnp.sin(z).sum())

    value, slope = jax.jit(jax.value_and_grad(loss))(jnp.zeros(2), temperature)
    assert np.isnan(value) and np.isnan(slope).all()


def test_a_stack_of_which_one_is_out_of_range():
    members = stack([GumbelSoftmax(t) for t in (0.5, 1.0)])
    members = jax.tree.map(lambda leaf: leaf * jnp.array([1.0, -1.0]), members)
    found = jax.vmap(lambda member: member(KEY, BITS, jnp.sum))(members)
    np.testing.assert_array_equal(np.isnan(found), [False, True])


EMPTY = {
    Bernoulli: Bernoulli(jnp.zeros(0)),
    Categorical: Categorical(jnp.zeros((0, 3))),
    Normal: Normal(jnp.zeros(0), jnp.zeros(0)),
    RelaxedBernoulli: RelaxedBernoulli(jnp.zeros(0), 1.0),
    RelaxedCategorical: RelaxedCategorical(jnp.zeros((0, 3)), 1.0),
    Poisson: Poisson(jnp.zeros(0)),
    ArrivalTimes: ArrivalTimes(jnp.zeros(0), 1.0, 5),
    RelaxedCount: RelaxedCount(jnp.zeros(0), 1.0, 5),
    HardConcrete: HardConcrete(jnp.zeros(0)),
    InvertibleGaussian: InvertibleGaussian(jnp.zeros((0, 2)), jnp.zeros((0, 2)), 1.0),
}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_event_without_variables(example):
    for kind in example.distributions:
        if kind in EMPTY:
            q = EMPTY[kind].independent(2) if example.needs_bound else EMPTY[kind]
            with pytest.raises(ValueError, match="no variables"):
                example(KEY, q, objective(example, jnp.sum))


def test_the_order_of_arguments(example):
    estimator, distribution = example
    f = objective(estimator, jnp.sum)
    for wrong in ((distribution, KEY, f), (KEY, f, distribution), (f, distribution, KEY)):
        if wrong[0] is f:
            expected = "takes a function of one sample as f, not a key"
        else:
            expected = r"takes \(key, distribution, f\), in this order, not \("
        with pytest.raises(TypeError, match=expected):
            estimator(*wrong)


@pytest.mark.parametrize("f", [None, 1.0, jnp.zeros(())], ids=["none", "number", "array"])
def test_f_is_a_function(example, f):
    with pytest.raises(TypeError, match="takes a function of one sample as f, not "):
        example[0](KEY, example[1], f)


def test_logits_instead_of_a_distribution(example):
    estimator, distribution = example
    wanted = rf"^{type(estimator).__name__} takes .*, not an array of shape \(3,\): wrap logits"
    for logits in (jnp.zeros(3), np.zeros(3)):
        with pytest.raises(TypeError, match=wanted):
            estimator(KEY, logits, objective(estimator, jnp.sum))
    with pytest.raises(TypeError, match=f"not the class {type(distribution).__name__}: build one"):
        estimator(KEY, type(distribution), objective(estimator, jnp.sum))


@pytest.mark.parametrize("cls", estimators.ALL, ids=lambda cls: cls.__name__)
def test_a_class_instead_of_an_estimator(cls):
    for arguments in ((KEY, BITS, jnp.sum), (KEY, BITS)):
        with pytest.raises(TypeError, match=f"{cls.__name__} is a class: build an estimator first"):
            cls(*arguments)


@pytest.mark.parametrize("cls", estimators.ALL, ids=lambda cls: cls.__name__)
def test_a_missing_decorator(cls):
    class Mine(cls):
        pass

    for arguments in ((), (0.5,)):
        with pytest.raises(TypeError, match="^Mine needs the decorator @pytree of estimators"):
            Mine(*arguments)


@pytest.mark.parametrize("soft", [jnp.ones(()), jnp.ones((3, 1)), jnp.ones((2, 3)), jnp.ones(1)])
def test_replace_gradient_does_not_broadcast(soft):
    with pytest.raises(ValueError, match=r"takes arrays of one shape, not \(3,\) and \("):
        replace_gradient(jnp.zeros(3), soft)
    with pytest.raises(ValueError, match=r"takes arrays of one shape, not \(.* and \(3,\)"):
        replace_gradient(soft, jnp.zeros(3))
