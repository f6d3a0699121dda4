"""The table of gradients measured during training."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.studies import second
from tests.analysis.helpers import synthetic_rows as synthetic

STEPS = (0, 1000)


def results(rows):
    """Rows of training with measurements, as a results file has them."""
    rows.attrs = {"configuration": {"study": "train", "budget": 100.0}, "complete": True}
    return rows


def of(rows):
    found = second(results(rows))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def table():
    return of(synthetic.along(("REBAR", "DisARM"), STEPS))


def test_a_block_for_each_step_of_each_run(table):
    places = list(dict.fromkeys(table.frame["place"]))
    assert places == [f"trained with {name}, step {step}" for name in ("REBAR", "DisARM")
                      for step in STEPS]  # fmt: skip
    assert table.is_grouped and table.heading.startswith("Gradients during training: ")
    assert {"squared_bias", "variance", "mse", "equal_cost_error"} <= {*table.frame}


def test_its_values_are_those_measured(table):
    rows = synthetic.along(("REBAR", "DisARM"), STEPS)
    for line in table.frame.itertuples():
        at = (rows["measured"] == line.estimator) & (rows["step"] == line.step)
        own = rows[at & (rows["estimator"] == line.trained_with)].set_index("metric")
        for metric in ("squared_bias", "variance"):
            assert getattr(line, metric) == own["value"][metric]
            assert getattr(line, f"{metric}_low") == own["low"][metric]


def test_facts_are_of_the_measured_estimator_not_of_the_one_that_trains():
    rows = synthetic.along(("REBAR",), STEPS)
    rows["p_temperature"], rows["paper_link"] = 0.5, "of the one that trains"
    assert (of(rows).frame["unbiased"] == "").all()  # of an old version
    biased = rows["measured"].str.startswith("GumbelSoftmax")
    rows["measured_unbiased"] = np.where(biased, "no", "yes")
    frame = of(rows).frame
    assert (frame["unbiased"] == np.where(frame["method"] == "GumbelSoftmax", "no", "yes")).all()
    assert not {"p_temperature", "paper_link"} & {*frame}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_it_fits_terminals(table, width):
    shown = analysis.to_text(table, width)
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("trained with DisARM, step 1000") == 1


@pytest.mark.parametrize("column, value", [("learning_rate", 0.5), ("optimiser", "SGD")])
def test_runs_of_an_estimator_are_told_apart(column, value):
    rows = synthetic.along(("REBAR",), STEPS)
    both = pd.concat([rows, rows.assign(**{column: value})], ignore_index=True)
    places = of(both).frame["place"].unique()
    assert len(places) == 4 and sum(str(value) in place for place in places) == 2


def test_problems_have_blocks_of_their_own():
    rows = synthetic.along(("REBAR",), STEPS)
    both = pd.concat([rows, rows.assign(problem="Other")], ignore_index=True)
    assert of(both).frame["place"].nunique() == 4


def test_there_is_none_where_nothing_was_measured():
    assert second(results(synthetic.training({"Exact": (9, 9)}))) is None
    compared = synthetic.comparison(synthetic.ESTIMATORS)
    compared.attrs = {"configuration": {"study": "compare"}}
    assert second(compared) is None
