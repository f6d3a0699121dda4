"""Every study that is registered has a table and figures."""

import pandas as pd
import pytest

import analysis
from analysis import figures
from analysis.studies import STUDIES, readable
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_hostile_folders import studies


def of(study, rows, **configuration):
    rows = rows.copy()
    rows.attrs = {"configuration": {"study": study, **configuration}}
    return rows


@pytest.mark.parametrize("name", STUDIES)
def test_a_table_is_found_by_the_study(name):
    made = studies()
    rows = of(name, made.get(name, made["compare"]))  # diagnose measures as compare does
    assert not rows.empty and set(STUDIES[name].columns) <= set(rows)
    table = readable(rows)
    assert isinstance(table, analysis.ReadableTable)
    assert analysis.to_text(table) == analysis.to_text(STUDIES[name].table(rows))
    assert {column.field for column in table.columns} <= set(table.frame)


@pytest.mark.parametrize("name", STUDIES)
def test_figures_are_found_by_the_study(name):
    found = [figures.named(figure) for figure in STUDIES[name].figures]
    assert all(callable(figure.draw) and callable(figure.data) for figure in found)


def test_measurements_during_training_are_drawn_if_there_are_any():
    rows = of("train", synthetic.training())
    assert list(figures.of_study(rows)) == ["training", "rank"]
    both = of("train", pd.concat([rows, synthetic.along()]))
    assert list(figures.of_study(both)) == ["training", "rank", "along_training"]
    one = of("train", rows[rows["estimator"] == "REBAR"])
    assert list(figures.of_study(one)) == ["training"]


def test_each_context_has_a_table():
    rows = synthetic.comparison()
    both = of("compare", pd.concat([rows, rows.assign(step=7)]))
    tables = [readable(part) for _, part in analysis.contexts(both)]
    assert ["step 7" in table.heading for table in tables] == [False, True]


def test_a_study_without_a_table_is_refused():
    with pytest.raises(ValueError, match="'other'; choose from compare, "):
        readable(of("other", synthetic.comparison()))
    with pytest.raises(ValueError, match="no table"):
        readable(of("figure", synthetic.comparison()))
