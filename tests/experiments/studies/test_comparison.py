"""Comparisons at one point."""

import jax
import pytest

from estimators import REBAR, RELAX, StraightThrough
from experiments.measurement.point import begin
from experiments.problems import Quadratic
from experiments.running.progress import Progress
from experiments.studies.comparison import point_study
from experiments.studies.comparison.settings import MeasureSettings
from experiments.system.signals import Interrupted

KEYS = {"tune": jax.random.key(1), "measure": jax.random.key(2)}
PARTS = {str(one): [one] for one in (REBAR(0.5), RELAX(), StraightThrough())}


@pytest.mark.parametrize("error", [FloatingPointError, Interrupted])
def test_an_error_while_the_point_is_found_ends_what_waits_for_it(error):
    start = begin(Quadratic(), jax.random.key(0)).point

    def find():
        raise error(2)

    settings, progress = MeasureSettings(), Progress(3)
    rows = point_study.measured(start, find, PARTS, settings, KEYS, {}, [], progress)
    with pytest.raises(error):
        next(rows)
