"""The figure of soft machines and distributions over machines, from made up rows."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures import memory
from analysis.page import Page
from tests.analysis.test_result_figures import assert_readable, labels

NAMES = ("soft machine", "ST Gumbel-softmax, 0.5", "all machines")
SOLVED = {0.03: 12, 0.1: 30}
"""How many of 40 starts each rate solves."""


@pytest.fixture
def rows():
    records = []
    for problem in ("Memory[task=coin]", "Memory", "Memory[symbols=3]"):
        for metric in ("soft_loss", "exact_loss"):
            for x in (0.0, 0.5, 1.0):
                one = {"probability": x, "value": 0.3 + x * (1 - x), "metric": metric}
                records.append({"problem": problem, **one})
    for name in NAMES:
        for graph, cosine in (("soft", 0.5), ("expectation", 0.9)):
            for number in range(4):
                one = {"graph": graph, "number": number, "value": cosine + 0.01 * number}
                records.append({"problem": "Memory", "name": name, "metric": "cosine_mean", **one})
        for problem in ("Memory", "Memory[symbols=3,kink=0.0]"):
            for rate, count in SOLVED.items():
                for seed in range(40):
                    one = {"seed": seed, "learning_rate": rate, "value": float(seed >= count)}
                    one |= {"metric": "rounded_loss", "steps": 2000}
                    records.append({"problem": problem, "name": name, **one})
    return pd.DataFrame(records).assign(low=np.nan, high=np.nan)


def test_shares_are_those_of_the_better_rate(rows):
    solved = memory.data(rows.sample(frac=1, random_state=0)).query("panel == 'solved'")
    assert len(solved) == 2 * len(NAMES) and set(solved["symbols"]) == {2, 3}
    assert (solved["value"] == 0.75).all() and (solved["learning_rate"] == 0.1).all()
    half = 2 * np.sqrt(32 / 44 * 12 / 44 / 44)
    np.testing.assert_allclose(solved["low"], 32 / 44 - half)
    np.testing.assert_allclose(solved["high"], 32 / 44 + half)


def test_cosines_are_means_over_logits(rows):
    found = memory.data(rows).query("panel == 'direction'").set_index(["name", "curve"])
    for name in NAMES:
        assert found.loc[(name, "soft machine"), "value"] == pytest.approx(0.515)
        assert found.loc[(name, "distribution over machines"), "value"] == pytest.approx(0.915)
        assert (found["low"] < found["value"]).all() and (found["high"] <= 1).all()


@pytest.mark.parametrize("width", [3.25, 5.5])
def test_everything_is_drawn_and_named(rows, width):
    figure = memory.draw(rows, Page(width))
    assert_readable(figure)
    assert {"soft machine", "distribution over machines", "2 symbols", "3 symbols"} < {
        *labels(figure)
    }
    coin, reversal, directions, solved = figure.axes
    assert [len(line.get_xdata()) for line in reversal.lines] == [3] * 4
    assert [text.get_text() for text in directions.get_yticklabels()] == list(NAMES)
    drawn = np.concatenate([line.get_xdata() for line in solved.lines])
    np.testing.assert_allclose(drawn, 0.75)
    assert min(map(min, (line.get_ydata() for line in coin.lines))) == 0.3
