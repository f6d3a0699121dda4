"""Which of several estimators are not distinguishable from the best."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.statistics.ties import may_be_least, replicates
from tests.analysis.helpers import synthetic_rows as synthetic

BLOCKS = 32


def drawn(rng, means, shared=1.0, own=0.1):
    """Replicates of quantities of these means, with common noise, line by line."""
    means = np.asarray(means)[:, None]
    noise = shared * rng.normal(size=BLOCKS) + own * rng.normal(size=(len(means), BLOCKS))
    return pd.DataFrame(means + noise)


def tied(paired):
    return may_be_least(paired.mean(axis=1), paired)


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_the_least_is_missed_in_at_most_five_percent(count, shared):
    rng, runs = np.random.default_rng(0), 2000
    means = np.linspace(0, 0.02, count)  # close enough for errors
    missed = sum(not tied(drawn(rng, means, shared))[0] for _ in range(runs))
    # At 5 % a run of these is missed 100 times; four standard errors above.
    assert missed <= 0.05 * runs + 4 * np.sqrt(0.05 * 0.95 * runs)


def test_common_noise_is_removed():
    rng = np.random.default_rng(1)
    alone = drawn(rng, [0.0, 0.2], shared=1.0)
    # Each mean has an error of 0.18, their difference one of 0.025.
    assert tied(alone).tolist() == [True, False]
    unpaired = alone.copy()
    unpaired.loc[1] = np.roll(unpaired.loc[1], 1)
    assert tied(unpaired).tolist() == [True, True]


def test_more_comparisons_make_more_ties():
    rng = np.random.default_rng(2)
    paired = drawn(rng, [0.0, 0.08, *[9.0] * 200], own=0.1)
    assert tied(paired.iloc[:2]).tolist() == [True, False]
    assert tied(paired).tolist() == [True, True] + [False] * 200


def test_what_is_not_compared():
    rng = np.random.default_rng(3)
    paired = drawn(rng, [0.0, 0.0, 5.0])
    values = paired.mean(axis=1)
    assert may_be_least(values.where([False, True, True]), paired).tolist() == [False, True, False]
    paired.loc[0] = np.nan
    assert may_be_least(values, paired).tolist() == [False, True, False]
    assert not may_be_least(values * np.nan, paired).any()
    assert not may_be_least(values, paired.iloc[:, :1]).any()
    assert not may_be_least(values, paired.iloc[:, :0]).any()


def test_replicates_that_cannot_be_read_are_missing():
    found = replicates(pd.Series(["1 2 3", "", None, "4 5", "a b c", "4 5 6e-1", np.nan]))
    assert found.notna().all(axis=1).tolist() == [True, False, False, False, False, True, False]
    np.testing.assert_array_equal(found.iloc[[0, 5]], [[1, 2, 3], [4, 5, 0.6]])
    assert replicates(pd.Series(["", None])).shape == (2, 0)


def rows_of(**excess):
    """A comparison of estimators with these squared biases; their noise is common but for 1 %."""
    rng = np.random.default_rng(4)
    common = rng.normal(size=BLOCKS)
    facts = {name: ("no", 1, 0.1 + more, 0.1, 1e-4) for name, more in excess.items()}
    rows = synthetic.comparison(facts, {})
    for name, more in excess.items():
        own = 0.1 + more + 0.01 * (common + 0.01 * rng.normal(size=BLOCKS))
        for metric, each in (("squared_bias", own), ("variance", 0.1 + 0 * own)):
            chosen = (rows["estimator"] == name) & (rows["metric"] == metric)
            rows.loc[chosen, "replicates"] = " ".join(map(str, each))
    # Intervals that overlap.
    chosen = rows["metric"] == "equal_cost_error"
    rows.loc[chosen, ["low", "high"]] = [0.05, 0.5]
    return rows


def test_a_table_marks_what_may_be_the_best():
    table = analysis.comparison_table(rows_of(Best=0.0, Tied=1e-6, Worse=0.01))
    assert table.frame.set_index("estimator")["equal_cost_error_tied"].to_dict() == {
        "Best": True,
        "Tied": True,
        "Worse": False,
    }
    assert "not distinguishable from it: Tied." in table.findings[0]

    text = analysis.to_text(table)
    marked = [line.split()[0] for line in text.splitlines() if " =" in line]
    assert marked == ["Best", "Tied"]
    assert "\n=: not distinguishable from the best" in text

    markdown = analysis.to_markdown(table)
    bold = [line for line in markdown.splitlines() if line.startswith("| `") and "| **" in line]
    assert [line.split("`")[1] for line in bold] == ["Best", "Tied"]
    assert analysis.to_html(table).count('<td style="text-align: left"><b>') == 2
    latex = analysis.to_latex(table)
    assert latex.count(r"& \bfseries 1.") == 2
    for shown in (markdown, analysis.to_html(table), latex):
        assert "Bold: not distinguishable from the best" in shown


def test_the_best_alone_is_bold_but_has_no_mark_in_a_terminal():
    table = analysis.comparison_table(rows_of(Best=0.0, Worse=0.01))
    text = analysis.to_text(table)
    assert " =" not in text and "=:" not in text
    assert analysis.to_markdown(table).count("| **1.") == 1


def test_results_without_replicates_have_no_ties():
    table = analysis.comparison_table(rows_of(Best=0.0, Tied=1e-6).drop(columns="replicates"))
    assert "Bold" not in analysis.to_markdown(table)
    assert "with overlapping intervals: Tied" in table.findings[0]


def test_an_exact_estimator_is_not_the_best_of_the_noisy_ones():
    rows = rows_of(Best=0.0, Tied=1e-6, Exact=-0.1)
    is_error = (rows["estimator"] == "Exact") & (rows["metric"] == "equal_cost_error")
    rows.loc[is_error, ["value", "low", "high"]] = 0.0
    frame = analysis.comparison_table(rows).frame.set_index("estimator")
    assert frame["equal_cost_error_tied"].to_dict() == {"Exact": False, "Best": True, "Tied": True}


def test_seeds_are_pairs():
    parts = []
    for seed, shift in enumerate([0.0, 0.3, 0.7, 1.1]):  # seeds differ more than estimators
        part = rows_of(Best=shift, Tied=shift + 1e-4 * (seed % 2), Worse=shift + 0.1)
        own = np.random.default_rng(seed).normal(scale=1e-3, size=3)
        for name, noise in zip(("Best", "Tied", "Worse"), own, strict=True):
            chosen = (part["estimator"] == name) & (part["metric"] == "squared_bias")
            part.loc[chosen, "value"] += noise
        parts.append(part.assign(seed=seed))
    together = pd.concat(parts, ignore_index=True)
    together.attrs = parts[0].attrs
    for rows in (together, together.sort_values("seed", ascending=False, kind="stable")):
        frame = analysis.comparison_table(rows).frame.set_index("estimator")
        assert frame["equal_cost_error_tied"].to_dict() == {
            "Best": True,
            "Tied": True,
            "Worse": False,
        }
