"""The figure of refined latent vectors, from made up rows."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures import rounding
from analysis.page import Page
from tests.analysis.test_result_figures import assert_readable, labels

GAPS = {"nearest integers": 6.0, "additive noise": 2.0, "annealing": 1.0, "bits": 3.0}
METHODS = {"annealing": "GumbelSoftmax", "bits": "DisARM"}
FAMILIES = {"annealing": "relaxations", "bits": "antithetic"}


@pytest.fixture
def rows():
    records = []
    for name, gap in GAPS.items():
        about = {"problem": "Rounding[images=4]", "name": name, "metric": "rounding_gap"}
        about |= {"method": METHODS.get(name), "method_family": FAMILIES.get(name)}
        rates = (np.nan,) if name == "nearest integers" else (1e-3, 5e-3)
        for rate in rates:
            one = about | {"learning_rate": rate, "step": 100}
            worse = 1.0 if rate == 1e-3 else 0.0
            for number in range(4):
                value = gap + worse + 0.1 * (number - 1.5)
                records.append(one | {"number": number, "value": value})
            if name != "nearest integers":
                for step in (100, 0, 50):
                    value = gap + worse + (100 - step) / 25
                    records.append(one | {"step": step, "value": value})
    return pd.DataFrame(records).assign(low=np.nan, high=np.nan)


def test_each_is_shown_at_its_best_rate(rows):
    points = rounding.data(rows.sample(frac=1, random_state=0))
    ends = points[points["panel"] == "end"].set_index("name")
    assert ends["value"].to_dict() == pytest.approx(GAPS)
    assert (ends["images"] == 4).all() and (ends["low"] < ends["value"]).all()
    curves = points[points["panel"] == "curve"]
    assert (curves["learning_rate"] == 5e-3).all()
    for name, part in curves.groupby("name"):
        assert part["step"].tolist() == [0, 50, 100]
        assert part["value"].tolist() == pytest.approx([GAPS[name] + x for x in (4, 2, 0)])


@pytest.mark.parametrize("width", [3.25, 5.5])
def test_everything_is_drawn_and_named(rows, width):
    figure = rounding.draw(rows, Page(width))
    assert_readable(figure)
    best = sorted(GAPS, key=lambda name: GAPS[name])
    ends, during = figure.axes
    assert [text.get_text() for text in ends.get_yticklabels()] == best
    assert {*best[:3], "4 images", "95 % interval"} == {*labels(figure)}
    curves = [line for line in during.lines if len(line.get_xdata()) == 3]
    assert {line.get_label() for line in curves} == {*best[:3]}
