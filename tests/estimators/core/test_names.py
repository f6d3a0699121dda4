"""Names: `str` and `parse` are inverse; and stacks of estimators for sweeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import estimators
from estimators import (
    DARN,
    MLP,
    NVIL,
    Average,
    Bernoulli,
    GumbelSoftmax,
    LeaveOneOut,
    MovingAverage,
    MuProp,
    ScoreFunction,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    parse,
    pytree,
    stack,
    unstack,
)
from estimators.naming import describe

NAMES = {
    "MuProp": MuProp(),
    "ScoreFunction": ScoreFunction(),
    "GumbelSoftmax[temperature=0.5]": GumbelSoftmax(0.5),
    "GumbelSoftmax[temperature=0.1]": GumbelSoftmax(np.float64(0.1)),
    "GumbelSoftmax[temperature=1.0]": GumbelSoftmax(1),
    "GumbelSoftmax[temperature=0.001]": GumbelSoftmax(jnp.float32(1e-3)),
    "DARN": DARN(),
    "DARN[expansion=half]": DARN("half"),
    "StraightThrough[derivative=identity]": StraightThrough("identity"),
    "SlopeAnnealedStraightThrough[slope=2.0,backward=hard_sigmoid]": SlopeAnnealedStraightThrough(
        2, "hard_sigmoid"
    ),
    "ScoreFunction[baseline=LeaveOneOut[num_samples=4]]": ScoreFunction(LeaveOneOut(4)),
    "ScoreFunction[baseline=MovingAverage[decay=0.9,value=-0.25]]": ScoreFunction(
        MovingAverage(0.9, -0.25)
    ),
    "ScoreFunction[baseline=NVIL[normalise=True,network=MLP[hidden=7]]]": ScoreFunction(
        NVIL(normalise=True, network=MLP(7))
    ),
    "ScoreFunction[baseline=NVIL[network=None]]": ScoreFunction(NVIL(network=None)),
    "Average[estimator=ScoreFunction[baseline=LeaveOneOut[num_samples=2]],num_samples=3]": Average(
        ScoreFunction(LeaveOneOut(2)), 3
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_name(name):
    assert str(NAMES[name]) == name
    parsed = parse(name)
    assert str(parsed) == name
    assert jax.tree.structure(parsed) == jax.tree.structure(NAMES[name])
    jax.tree.map(np.testing.assert_array_equal, parsed, NAMES[name])


@settings(derandomize=True, deadline=None)
@given(st.floats(2.0**-20, 2.0**20, width=32))
def test_name_gives_every_float32_back(temperature):
    estimator = GumbelSoftmax(temperature)
    assert parse(str(estimator)).temperature == estimator.temperature


@settings(derandomize=True, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_name_gives_every_float64_back(temperature):
    with jax.enable_x64(True):
        assert float(parse(str(GumbelSoftmax(temperature))).temperature) == temperature


SHORT = {
    "ScoreFunction": ScoreFunction(),
    "ScoreFunction[LeaveOneOut[4]]": ScoreFunction(LeaveOneOut(4)),
    "GumbelSoftmax[0.5]": GumbelSoftmax(0.5),
    "SlopeAnnealedStraightThrough[2.0,hard_sigmoid]": SlopeAnnealedStraightThrough(
        2, "hard_sigmoid"
    ),
    "ScoreFunction[MovingAverage[0.9,-0.25]]": ScoreFunction(MovingAverage(0.9, -0.25)),
    # A field after one that has its default cannot be given by position.
    "ScoreFunction[NVIL[network=MLP[7]]]": ScoreFunction(NVIL(network=MLP(7))),
    # True, False and None say nothing without the field.
    "ScoreFunction[NVIL[normalise=True,network=MLP[7]]]": ScoreFunction(
        NVIL(normalise=True, network=MLP(7))
    ),
    "Average[ScoreFunction[LeaveOneOut[2]],3]": Average(ScoreFunction(LeaveOneOut(2)), 3),
}


@pytest.mark.parametrize("name", SHORT)
def test_short_name(name):
    assert describe(SHORT[name], positional=True) == name
    assert str(parse(name)) == str(SHORT[name])


def test_short_names_of_all_examples_give_them_back():
    examples = [example for cls in estimators.ALL for example in cls.examples()]
    examples += [Average(example, 3) for example in examples if not isinstance(example, Average)]
    short = {describe(example, positional=True): str(example) for example in examples}
    assert len(short) == len({str(example) for example in examples})
    for name, canonical in short.items():
        assert str(parse(name)) == canonical and len(name) <= len(canonical)


def test_learned_networks_are_no_part_of_the_name():
    estimator = ScoreFunction(NVIL())
    trained = estimator.initialise(jax.random.key(0), Bernoulli(jnp.zeros(3)))
    assert str(trained) == str(estimator) == "ScoreFunction[baseline=NVIL]"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("GumbelSoftmax[0.5]", "GumbelSoftmax[temperature=0.5]"),
        ("GumbelSoftmax[ temperature = 5e-1 ]", "GumbelSoftmax[temperature=0.5]"),
        ("MuProp[]", "MuProp"),
        ("ScoreFunction[None]", "ScoreFunction"),
        ("ScoreFunction[LeaveOneOut[4]]", "ScoreFunction[baseline=LeaveOneOut[num_samples=4]]"),
        ("Average[MuProp,num_samples=2]", "Average[estimator=MuProp,num_samples=2]"),
    ],
)
def test_other_spellings(text, name):
    assert str(parse(text)) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write Name"),
        ("[", "write Name"),
        ("0.5", "unknown name '0.5'"),
        ("GumbleSoftmax[0.5]", "did you mean 'GumbelSoftmax'"),
        ("gumbelsoftmax", "did you mean 'GumbelSoftmax'"),
        ("Estimator", "unknown name 'Estimator'.*known: .*MuProp"),
        ("LeaveOneOut[2]", "a component, not an estimator"),
        ("GumbelSoftmax", "needs temperature: write"),
        (
            "GumbelSoftmax[temprature=1]",
            "did you mean 'temperature'.*; choose from temperature",
        ),
        ("Exact[slope=1]", "has no field 'slope'; it has none"),
        ("Exact[3]", "takes 0 values"),
        ("GumbelSoftmax[1,2]", "takes 1 values, not 2"),
        ("GumbelSoftmax[1,temperature=2]", "gives temperature twice"),
        ("GumbelSoftmax[temperature=1,temperature=2]", "gives temperature twice"),
        ("StraightThrough[derivative=mean", "closing ] is missing"),
        ("GumbelSoftmax[1]]", "nothing can follow"),
        ("MuProp,", "nothing can follow"),
        ("GumbelSoftmax[temperature=]", "write Name"),
        ("GumbelSoftmax[temperature=0]", "temperature must be above zero and finite, not 0"),
        ("GumbelSoftmax[temperature=-1]", "temperature must be above zero"),
        ("GumbelSoftmax[temperature=nan]", "temperature must be above zero"),
        ("GumbelSoftmax[temperature=inf]", "temperature must be above zero"),
        ("GumbelSoftmax[temperature=cold]", "temperature must be a number, not 'cold'"),
        ("GumbelSoftmax[temperature=None]", "temperature must be a number"),
        ("GumbelSoftmax[temperature=MuProp]", "temperature must be a number"),
        ("StraightThroughGumbelSoftmax[0]", "temperature must be above zero"),
        ("SlopeAnnealedStraightThrough[0]", "slope must be above zero"),
        ("SlopeAnnealedStraightThrough[1,relu]", "one of sigmoid, hard_sigmoid, not 'relu'"),
        ("DARN[quarter]", "one of sample, half"),
        ("StraightThrough[median]", "one of mean, identity"),
        (
            "ScoreFunction[3]",
            "one of MovingAverage, LeaveOneOut, GroupMean, NVIL, None, not '3'",
        ),
        ("ScoreFunction[MuProp]", "baseline must be one of MovingAverage, .*, not 'MuProp'"),
        ("MuProp[3]", "baseline must be one of MovingAverage"),
        ("MuProp[LeaveOneOut[2]]", "one sample"),
        ("ScoreFunction[LeaveOneOut[1]]", "num_samples must be at least 2"),
        ("ScoreFunction[LeaveOneOut[2.5]]", "num_samples must be an integer"),
        ("ScoreFunction[LeaveOneOut[True]]", "num_samples must be an integer"),
        ("ScoreFunction[MovingAverage]", "needs decay"),
        ("ScoreFunction[MovingAverage[1]]", "decay must be at least 0 and below 1"),
        ("ScoreFunction[MovingAverage[0.9,low]]", "value must be a number, not 'low'"),
        ("ScoreFunction[NVIL[decay=-0.1]]", "decay must be at least 0 and below 1"),
        ("ScoreFunction[NVIL[normalise=maybe]]", "normalise must be one of True, False"),
        ("ScoreFunction[NVIL[network=3]]", "network must be one of MLP, None, not '3'"),
        ("ScoreFunction[NVIL[network=MLP[0]]]", "hidden must be at least 1"),
        ("ScoreFunction[NVIL[variance=-1]]", "variance must be at least 0"),
        ("ScoreFunction[NVIL[layers=3]]", "has no field 'layers'"),
        ("Average[MuProp,0]", "num_samples must be at least 1"),
        ("Average[3,2]", "estimator must be one of Average, .*, not '3'"),
        ("ScoreFunction[LeaveOneOu]", "did you mean 'LeaveOneOut'"),
        ("StraightThrough[nan]", "derivative must be one of mean, identity, not 'nan'"),
        ("StraightThrough[mean[3]]", "unknown name 'mean'"),
        pytest.param("LeaveOneOut[" * 2000, "brackets are nested more than 20 deep", id="deep"),
        ("Average[Average[MuProp,2],2]", "takes an estimator that is not an Average"),
        ("Average[GumbelSoftmax[0],2]", "temperature must be above zero"),
    ],
)
def test_what_cannot_be_parsed(text, message):
    """Every mistake is a ValueError that says what is wrong."""
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_classes_of_the_users_own():
    with pytest.raises(ValueError, match="unknown name 'Renamed'"):
        parse("Renamed")

    Renamed = pytree(type("Renamed", (StraightThrough,), {}))
    assert isinstance(parse("Renamed[identity]", Renamed), Renamed)


def test_what_has_no_name():
    members = [GumbelSoftmax(0.1), GumbelSoftmax(0.2)]
    with pytest.raises(ValueError, match="a stack of GumbelSoftmax has no single name"):
        str(stack(members))
    with pytest.raises(ValueError, match="cannot be named while it is traced"):
        jax.jit(lambda estimator: str(estimator) and 0)(members[0])


# Stacks


def test_stack_and_unstack_are_inverse():
    members = [ScoreFunction(MovingAverage(decay, 0.3)) for decay in (0.1, 0.2, 0.7)]
    stacked = stack(members)
    assert stacked.baseline.decay.shape == (3,)
    back = unstack(stacked)
    assert [str(member) for member in back] == [str(member) for member in members]


def test_stack_of_trained_networks():
    q = Bernoulli(jnp.zeros(3))
    members = [ScoreFunction(NVIL()).initialise(jax.random.key(i), q) for i in range(2)]
    for member, back in zip(members, unstack(stack(members)), strict=True):
        jax.tree.map(np.testing.assert_array_equal, member, back)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "nothing to stack"),
        ([DARN("half"), DARN("sample")], "one structure"),
        ([GumbelSoftmax(1), MuProp()], "one structure.*GumbelSoftmax.*MuProp"),
        ([ScoreFunction(LeaveOneOut(2)), ScoreFunction(LeaveOneOut(3))], "one structure"),
    ],
    ids=["empty", "static field", "class", "static field of a part"],
)
def test_what_does_not_stack(members, message):
    with pytest.raises(ValueError, match=message):
        stack(members)


@pytest.mark.parametrize("estimator", [GumbelSoftmax(0.5), MuProp()], ids=str)
def test_what_is_no_stack(estimator):
    with pytest.raises(ValueError, match=f"{type(estimator).__name__} is not a stack"):
        unstack(estimator)


def test_every_estimator_class_is_listed():
    """Nothing in the package that could be used is missing from `ALL`."""

    def finals(cls):
        below = [sub for sub in cls.__subclasses__() if sub.__module__.startswith("estimators.")]
        return {sub for direct in below for sub in finals(direct)} if below else {cls}

    assert finals(estimators.Estimator) == set(estimators.ALL)
