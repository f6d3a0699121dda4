"""What a comparison's table concludes, and its warnings about single estimators."""

import numpy as np
import pandas as pd
import pytest

import analysis
from tests.analysis.helpers import synthetic_rows as synthetic

FACTS = {
    # unbiased, evaluations, squared bias, variance, seconds; the error at a budget of 100 follows.
    "Best": ("no", 1, 0.0, 0.1, 1e-4),
    "Tied": ("yes", 1, 0.0, 0.11, 4e-4),
    "Behind": ("yes", 4, 0.0, 0.1, 1e-4),
    "Worst": ("no", 1, 0.5, 0.1, 1e-4),
}


def rows_of(facts=None, **errors):
    """Rows with intervals of ±20 % about the error at equal cost, unless given."""
    rows = synthetic.comparison(FACTS if facts is None else facts, {})
    is_error = rows["metric"] == "equal_cost_error"
    rows.loc[is_error, "low"] = rows.loc[is_error, "value"] * 0.8
    rows.loc[is_error, "high"] = rows.loc[is_error, "value"] * 1.2
    for name, numbers in errors.items():
        rows.loc[is_error & (rows["estimator"] == name), ["value", "low", "high"]] = numbers
    return rows


def concluded(rows, cost="evaluations"):
    return " ".join(analysis.comparison_table(rows, cost).findings)


def put(rows, name, metric, *numbers):
    chosen = (rows["estimator"] == name) & (rows["metric"] == metric)
    assert chosen.any()
    rows.loc[chosen, ["value", "low", "high"]] = numbers


def added(rows, metric, **values):
    """The rows with a further metric, of these estimators."""
    more = []
    for name, value in values.items():
        one = rows[rows["estimator"] == name].iloc[0].copy()
        one[["metric", "value", "low", "high"]] = metric, value, np.nan, np.nan
        more.append(one)
    found = pd.concat([rows, pd.DataFrame(more)], ignore_index=True)
    found.attrs = rows.attrs
    return found


def test_the_least_error_and_who_ties():
    rows = rows_of(
        Best=(1e-3, 8e-4, 1.2e-3), Tied=(1.1e-3, 9e-4, 1.3e-3), Behind=(4e-3, 3e-3, 5e-3)
    )
    said = concluded(rows)
    assert "Least error at equal cost: Best, 1.00e-3 [8.00e-4, 1.20e-3]" in said
    assert "with overlapping intervals: Tied. Of these, unbiased: Tied." in said
    assert f"A zero gradient would score {synthetic.TRUTH_NORM**2:.2e}".replace("e-0", "e-") in said
    assert said.endswith("worse, at this budget, than not moving: Worst.")
    text = analysis.to_text(analysis.comparison_table(rows))
    assert text.rstrip().endswith("Worst.")  # the table ends in it


def test_who_is_unbiased():
    alone = rows_of(
        Best=(1e-3, 9e-4, 1.1e-3), Tied=(2e-3, 1.8e-3, 2.2e-3), Behind=(4e-3, 3e-3, 5e-3)
    )
    assert "It is biased; the best unbiased estimator is Tied, with 2 times the error" in concluded(
        alone
    )
    both = rows_of(Best=(9e-3, 8e-3, 1e-2), Tied=(2e-3, 1e-3, 3e-3), Behind=(2.5e-3, 1e-3, 3e-3))
    assert "overlapping intervals: Behind. All of these are unbiased." in concluded(both)
    assert "It is unbiased." in concluded(rows_of({"Tied": FACTS["Tied"]}))


def test_no_error_and_no_interval():
    rows = rows_of({"Exact": ("yes", 256, 0.0, 0.0, 1e-3)} | FACTS, Best=(1e-3, np.nan, np.nan))
    put(rows, "Exact", "equal_cost_error", 0.0, 0.0, 0.0)
    said = concluded(rows)
    assert said.startswith("No error: Exact (256), with evaluations of f per gradient in brackets.")
    assert "Of the others, least error at equal cost: Tied" in said
    assert "Not ranked, for lack of an interval: Best." in said
    alone, both = ({name: FACTS[name] for name in names} for names in (["Best"], ["Best", "Tied"]))
    assert "; no estimator is worse" in concluded(rows_of(alone))
    # Whether an error without an interval is worse is not known.
    assert "; no ranked estimator is worse" in concluded(rows_of(both, Tied=(1e3, np.nan, np.nan)))
    assert "worse" not in concluded(rows_of(alone, Best=(1e3, np.nan, np.nan)))


def test_cost_as_measured_time():
    rows = rows_of()
    for ends in (analysis.comparison_table(rows, "time"), analysis.comparison_table(rows)):
        frame = ends.frame.set_index("estimator")
        best = frame["squared_bias"].clip(lower=0) + frame["variance"] * frame["seconds"] / 1e-2
        np.testing.assert_allclose(frame["equal_time_error"], best)
    table = analysis.comparison_table(rows, "time")
    assert table.columns[1].field == "equal_time_error" and "equal time" in table.findings[0]
    assert table.frame["equal_time_error"].is_monotonic_increasing
    text = analysis.to_text(table)
    assert "time / 10.0 ms, in which the fastest draws 100 gradients" in " ".join(text.split())
    # The slow one is four times as dear as its evaluations say.
    assert list(table.frame["estimator"]).index("Tied") > list(table.frame["estimator"]).index(
        "Best"
    )


def test_the_same_gradients_are_noticed():
    rows = rows_of()
    for metric in ("squared_bias", "variance", "mse", "cosine_mean", "cosine_sample"):
        chosen = (rows["estimator"] == "Best") & (rows["metric"] == metric)
        values = rows.loc[chosen, ["value", "low", "high"]].to_numpy()[0]
        put(rows, "Worst", metric, *(values * (1 + 1e-7)))
    frame = analysis.comparison_table(rows).frame.set_index("estimator")
    assert frame["note"]["Best"] == frame["note"]["Worst"]
    assert "the same gradients under the same keys: " in frame["note"]["Best"]
    assert not frame["note"]["Tied"]
    put(rows, "Worst", "cosine_sample", 0.2, 0.1, 0.3)
    assert not analysis.comparison_table(rows).frame["note"].any()


def test_declared_unbiased_but_measured_biased():
    rows = rows_of()
    put(rows, "Tied", "squared_bias", 2e-2, 1e-2, 3e-2)
    # In one of a thousand comparisons of three declared unbiased, one has 3e-4 by chance.
    for chance, said in ((1e-4, True), (6e-4, False), (np.nan, False)):
        one = added(rows, "unbiased_p_value", Tied=chance, Behind=0.5, Best=1e-9)
        note = analysis.comparison_table(one).frame.set_index("estimator")["note"]
        expected = "declared unbiased, but its squared bias is 2.00e-2 [1.00e-2, 3.00e-2]"
        assert (expected in note["Tied"]) == said
        assert not note["Best"] and not note["Behind"]
        # What is measured to be biased is not recommended as unbiased.
        assert ("unbiased: Tied" in concluded(one)) != said
    assert "(p = 1.0e-4)" in analysis.to_text(
        analysis.comparison_table(added(rows, "unbiased_p_value", Tied=1e-4, Behind=0.5))
    )


def test_a_mean_that_points_away():
    rows = rows_of()
    put(rows, "Worst", "cosine_mean", -0.2, -0.25, -0.15)
    put(rows, "Best", "cosine_mean", -0.1, -0.3, 0.1)  # perhaps not
    note = analysis.comparison_table(rows).frame.set_index("estimator")["note"]
    assert note["Worst"] == (
        "its mean points away from the true gradient: cosine -0.200 [-0.250, -0.150]"
    )
    assert not note["Best"]


def test_temperatures_are_concluded_too():
    (first, *_) = analysis.temperature_table(synthetic.temperature_study()).findings
    assert first.startswith("No error: Exact (1024)")


def test_columns_are_chosen_and_sorted():
    table = analysis.comparison_table(added(rows_of(), "signal_to_noise", Best=0.5, Worst=2.0))
    chosen = table.chosen(["signal_to_noise", "variance", "signal_to_noise"])
    assert [c.field for c in chosen.columns] == ["short_name", "signal_to_noise", "variance"]
    assert chosen.chosen(["mse"]).columns[1].field == "mse"  # none is lost
    assert list(table.sorted("signal_to_noise").frame["estimator"][:2]) == ["Worst", "Best"]
    assert table.sorted("variance").frame["variance"].is_monotonic_increasing
    assert "norm of the mean gradient" in analysis.to_text(chosen)
    assert "Equal cost" not in analysis.to_text(chosen)  # of a column that is not shown
    with pytest.raises(ValueError, match="no column 'x'; choose from equal_cost_error"):
        table.chosen(["x"])
    with pytest.raises(ValueError, match="no column 'x'"):
        table.sorted("x")
