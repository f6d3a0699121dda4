"""A sweep of temperature measures at the temperatures that it names."""

import jax
import pytest

import estimators
from experiments.measurement.point import begin
from experiments.problems import Coupled
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.temperature.study import has_temperature, temperature_sweep
from experiments.training import is_tuned

LEARNED = [
    one
    for cls in estimators.ALL
    for one in cls.examples()
    if has_temperature(one) and is_tuned(one) and estimators.Bernoulli in one.distributions
]


@pytest.mark.parametrize("estimator", LEARNED, ids=str)
def test_a_temperature_that_is_learned_elsewhere_is_held(estimator):
    problem = Coupled()
    held = temperature_sweep(CompareSettings(problem, [estimator]), [0.5]).configuration["held"]
    for names, same in ((held, True), ((), False)):
        where = begin(problem, jax.random.key(0), held=names).trained()
        ready = where.ready(estimator, jax.random.key(1), 200).estimator
        assert (float(ready.tuned_temperature) == float(estimator.temperature)) == same


def test_they_are_these():
    assert {type(one).__name__ for one in LEARNED} == {"REBAR", "RELAX"}
