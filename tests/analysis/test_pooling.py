"""Comparisons at points of several seeds, as one."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.figures import bias_variance, error_cost
from analysis.pooling import pooled
from tests.analysis.helpers import synthetic_rows as synthetic


@pytest.fixture(scope="module")
def rows():
    parts = [synthetic.comparison(seed=seed).assign(seed=seed) for seed in range(3)]
    together = pd.concat(parts, ignore_index=True)
    together.attrs = parts[0].attrs
    return together


def test_one_seed_is_as_it_was(rows):
    alone = rows[rows["seed"] == 1]
    assert pooled(alone) is alone


def test_an_estimator_that_is_skipped_at_a_seed_is_skipped(rows):
    name = rows["estimator"].iloc[0]
    nothing = {"metric": "skipped", "value": np.nan, "low": np.nan, "high": np.nan, "note": "why"}
    own = (rows["estimator"] == name) & (rows["seed"] == 2)
    failed = rows[own].head(1).assign(**nothing)
    table = analysis.comparison_table(pd.concat([rows[~own], failed]))
    assert name not in set(table.frame["estimator"])
    assert "why" in table.skipped.values()


def test_of_the_notes_on_too_few_events_the_greatest_number_is_kept(rows):
    few = "too few events: at least {} samples needed"
    said = {0: few.format("4,000"), 1: f"tuned; {few.format('20,000')}", 2: few.format("900")}
    noted = rows.assign(note=rows["seed"].map(said))
    # Another metric of the first seed needs yet more, and so does the true gradient.
    bias = (noted["metric"] == "squared_bias") & (noted["seed"] == 0)
    noted.loc[bias, "note"] = f"{few.format('30,000')}; the true gradient has {few.format('7')}"
    (note,) = set(analysis.comparison_table(noted).frame["note"])
    assert note.split("; ") == [
        few.format("30,000"),
        f"the true gradient has {few.format('7')}",
        "tuned",
    ]


def test_p_values_and_norms(rows):
    first = rows.drop_duplicates(["estimator", "seed"])
    chances = first.assign(metric="unbiased_p_value", value=0.01 + 0.2 * first["seed"])
    norms = first.assign(metric="truth_norm", value=first["seed"] + 1.0)
    kept = ~rows["metric"].isin(["unbiased_p_value", "truth_norm"])
    found = pooled(pd.concat([rows[kept], chances, norms], ignore_index=True)).set_index("metric")
    np.testing.assert_allclose(found.loc["unbiased_p_value", "value"], 0.03)
    np.testing.assert_allclose(found.loc["truth_norm", "value"], np.sqrt(14 / 3))


def test_figures_and_tables_of_several_seeds(rows):
    found = analysis.comparison_table(rows)
    assert len(found.frame) == rows["estimator"].nunique() - len(found.skipped)
    assert "3 seeds" in found.heading
    for module in (bias_variance, error_cost):
        assert len(module.data(rows)) and module.draw(rows)
    repeated = pd.concat([rows, rows[rows["metric"] == "variance"].head(1)])
    with pytest.raises(ValueError, match="twice"):
        analysis.comparison_table(repeated)
