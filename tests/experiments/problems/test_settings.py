"""Settings of all problems: what is out of range is refused by the problem's and its own name."""

import dataclasses
import math

import jax
import pytest

from estimators.naming import parse
from experiments import problems
from experiments.problems import Problem

PROBLEMS = {
    name: found
    for name, found in vars(problems).items()
    if isinstance(found, type) and issubclass(found, Problem) and dataclasses.is_dataclass(found)
}
NUMBERS = [
    (name, field.name)
    for name, problem in PROBLEMS.items()
    for field in dataclasses.fields(problem)
    if type(field.default) in (int, float)
]


def refusal(name, field, value):
    """Return the message with which a setting is refused, empty if it is not."""
    try:
        parse(f"{name}[{field}={value}]", PROBLEMS).check()
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("name", "field"), NUMBERS)
def test_a_number_is_refused_by_its_name(name, field):
    for value in ("nan", "inf", "1e39", "-1", "0", "abc"):
        message = refusal(name, field, value)
        assert not message or (field in message and name in message)
        # float32 does not hold 1e39.
        assert message or value in ("0", "-1")


@pytest.mark.parametrize("name", [name for name in PROBLEMS if hasattr(PROBLEMS[name], "hidden")])
def test_sizes_of_layers_are_refused_by_their_name(name):
    assert f"{name} hidden must be" in refusal(name, "hidden", "4-x")


def test_a_spread_is_not_negative():
    assert "at least 0" in refusal("Memory", "spread", "-1")


def test_a_temperature_is_not_subnormal():
    assert "above zero" in refusal("SequenceGAN", "noise", "1e-45")
    assert not refusal("SequenceGAN", "noise", math.ulp(1))


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [
        ("Rounding", "images", 10_000),  # of MNIST's test set
        ("Rounding", "latents", 784),
        ("Memory", "symbols", 50),
        ("SequenceGAN", "length", 16),
    ],
)
def test_a_number_is_refused_where_nothing_larger_can_be_computed(name, field, most):
    assert not refusal(name, field, most)
    assert f"{name} {field} must be at most" in refusal(name, field, most + 1)


def test_the_program_of_initial_experts_does_not_grow_with_their_number():
    few, many = (
        len(jax.make_jaxpr(problems.Experts(experts=count).initial)(jax.random.key(0)).eqns)
        for count in (8, 80)
    )
    assert few == many
