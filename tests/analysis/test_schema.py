"""The schema describes every column of every study, and what it describes is checked."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import schema
from analysis.studies import STUDIES
from tests.analysis.helpers import synthetic_rows as synthetic

STORED = sorted((Path(__file__).parents[2] / "docs/results").glob("*/results.parquet"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.parent.name)
def test_stored_results_are_described(path):
    table = pd.read_parquet(path)
    assert schema.undescribed(table.attrs["configuration"]["study"], table) == []


def test_every_study_is_described():
    assert schema.STUDIES.keys() == STUDIES.keys()
    for name, study in STUDIES.items():
        assert set(study.columns) <= set(schema.STUDIES[name])


def test_every_column_is_of_a_study():
    assert {name for names in schema.STUDIES.values() for name in names} == set(schema.COLUMNS)


def test_metrics_are_described():
    assert set(synthetic.comparison()["metric"]) <= set(schema.METRICS)


def test_an_undescribed_column_is_found():
    assert schema.undescribed("compare", ["metric", "p_temperature", "mood"]) == ["mood"]
    assert schema.undescribed("a study of tests", ["mood"]) == []
