"""Two results of a study: which rows differ, and the verdict."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from analysis.metadata import differing
from analysis.statistics.difference import by_errors, facing_error, holm
from analysis.tables.difference import difference
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_hostile_folders import studies


def of(rows, study="compare", **configuration):
    rows = rows.copy()
    rows.attrs = {"configuration": {"study": study, **configuration}}
    return rows


def compare(*lines, seed=0, **columns):
    """A comparison of one estimator: lines of metric, value, low and high."""
    shared = {**synthetic.COLUMNS, "estimator": "DisARM", "method": "DisARM", "unbiased": "yes"}
    shared |= {"evaluations": 2, "seed": seed, **columns}
    rows = [
        {**shared, "metric": metric, "value": value, "low": low, "high": high}
        for metric, value, low, high in lines
    ]
    return of(pd.DataFrame(rows))


def line(found, metric):
    return found.frame[found.frame["metric"] == metric].iloc[0]


def test_z_scores_are_of_the_sides_that_face_each_other():
    a = compare(("variance", 1.0, 0.9, 1.3), ("mse", 9.0, 8.0, 9.5))
    b = compare(("variance", 2.0, 1.6, 2.1), ("mse", 7.0, 6.9, 9.0))
    found = difference(a, b)
    for metric, apart, sides in ("variance", 1.0, (0.3, 0.4)), ("mse", -2.0, (1.0, 2.0)):
        row = line(found, metric)
        assert row["error"] == pytest.approx(np.hypot(*sides) / stats.norm.ppf(0.975))
        assert row["z"] == pytest.approx(apart / row["error"])
        assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(row["z"])))
    assert found.frame["p_adjusted"].tolist() == sorted(
        min(1, row.p * (2 - place)) for place, row in enumerate(found.frame.itertuples())
    )
    # From the other side.
    back = difference(b, a)
    np.testing.assert_allclose(back.frame["z"], -found.frame["z"])


def test_an_end_at_the_boundary_leaves_the_other_side():
    error = facing_error([0.0, -1.0, 3.0], [0.0, 0.0, 3.0], [2.0, 2.0, 3.0], [False, False, True])
    np.testing.assert_allclose(error * stats.norm.ppf(0.975), [2, 3, 0])


def test_holm():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(holm(p), [0.04, np.nan, 0.09, 0.09, 0.5])
    assert holm(np.array([])).size == 0


def test_at_most_one_pair_in_twenty_is_called_different():
    rng = np.random.default_rng(0)
    rows, pairs = 40, 4000
    errors = rng.uniform(0.1, 5, size=(2, rows))
    draws = rng.normal(size=(pairs, 2, rows)) * errors
    half = stats.norm.ppf(0.975) * errors
    alarms = 0
    for a, b in draws:
        sides = [
            facing_error(x, x - h, x + h, rises)
            for x, h, rises in ((a, half[0], b > a), (b, half[1], a > b))
        ]
        alarms += (holm(by_errors(b - a, np.hypot(*sides)).p) <= 0.05).any()
    assert abs(alarms / pairs - 0.05) < 4 * np.sqrt(0.05 * 0.95 / pairs)  # independent rows


SAME, ROUNDED = ("variance", 1.0, 0.9, 1.1), ("variance", 1.0 + 1e-6, 0.9, 1.1)
VERDICTS = [
    ([SAME], [SAME], True, "The same: 1 rows have the same numbers, to the bit."),
    ([SAME], [ROUNDED], True, "The same to rounding: 1 rows (largest difference 1.0e-6)."),
    ([SAME], [("variance", 1.05, 0.95, 1.15)], True, "Equal within their errors (1 rows"),
    ([SAME], [("variance", 1.5, 1.4, 1.6)], False, "Differ: 1 of 1 rows"),
    # Exact values.
    ([("mse", 1.0, 1.0, 1.0)], [("mse", 1.0 + 1e-6, 1.0 + 1e-6, 1.0 + 1e-6)], True, "The same to"),
    ([("mse", 1.0, 1.0, 1.0)], [("mse", 1.01, 1.01, 1.01)], False, "Differ: 1 of 1"),
    # A squared bias is a difference of numbers of the size of the error.
    ([("mse", 1, 1, 1), ("squared_bias", 1e-9, 0, 0)],
     [("mse", 1, 1, 1), ("squared_bias", -1e-7, 0, 0)], True, "The same to rounding: 2"),
    # An exact gradient has an error of rounding, which is relative to the gradient.
    ([("truth_norm", 0.3, 0.3, 0.3), ("mse", 1e-13, 1e-13, 1e-13)],
     [("truth_norm", 0.3, 0.3, 0.3), ("mse", 0, 0, 0)], True, "The same to rounding: 2"),
    # Without an interval, a value cannot be tested.
    ([("mse", 1, np.nan, np.nan)], [("mse", 2, np.nan, np.nan)], False, "Undecided: 1 rows are"),
    ([("mse", np.nan, np.nan, np.nan)], [("mse", 2, 1, 3)], False, "Undecided: 1 rows are"),
    ([("mse", np.nan, np.nan, np.nan)] * 1, [("mse", np.nan, np.nan, np.nan)], True, "The same: 1"),
    ([SAME, ("mse", 1, np.nan, np.nan)], [SAME, ("mse", 2, 1, 3)], False, "Undecided: 1 rows are"),
    # Times are not judged, and a p-value is no estimate.
    ([SAME, ("seconds", 1, 0.9, 1.1)], [SAME, ("seconds", 9, 8.9, 9.1)], True, "The same: 1 rows"),
    ([SAME, ("unbiased_p_value", 0.1, 0.1, 0.1)],
     [("variance", 1.05, 0.95, 1.15), ("unbiased_p_value", 0.9, 0.9, 0.9)], True, "Equal within"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "agree", "verdict"), VERDICTS)
def test_verdicts(a, b, agree, verdict):
    found = difference(compare(*a), compare(*b))
    assert found.verdict.startswith(verdict)
    assert found.agree is agree
    assert found.text().rstrip().replace("\n", " ").endswith(found.verdict)
    for render in analysis.to_markdown, analysis.to_csv, analysis.to_latex, analysis.to_html:
        assert render(found.table)


def test_times_are_summed_up_in_a_sentence():
    a, b = (compare(SAME, ("seconds", one, np.nan, np.nan)) for one in (2.0, 1.0))
    found = difference(a, b)
    assert "B's are 0.5 times A's." in found.text()
    assert line(found, "seconds")["outcome"] == "time" and found.frame["outcome"].iloc[-1] == "time"


NORM = ("truth_norm", 0.3, 0.3, 0.3)


def test_other_seeds_of_the_same_point():
    """The points of two seeds are the same if the true gradients have the same norm."""
    a = of(
        pd.concat(
            [compare(NORM, ("variance", v, v - 1, v + 1), seed=s) for s, v in ((0, 5.0), (1, 7.0))]
        )
    )
    b = compare(NORM, ("variance", 6.5, 4.5, 8.5), seed=2)
    row = line(difference(a, b), "variance")
    assert (row["a"], row["b"]) == (6.0, 6.5) and np.isnan(row["seed"])
    # A mean over two rows, each known to within 1.
    assert row["error"] == pytest.approx(np.hypot(np.sqrt(2) / 2, 2) / stats.norm.ppf(0.975))


def test_other_seeds_of_other_points():
    """Then the rows' intervals say nothing about other seeds."""
    values = {0: 5.0, 1: 7.0, 2: 6.4, 3: 11.0, 4: 12.5}

    def rows(*seeds):
        norms = {seed: ("truth_norm", 1.0 + seed, 1.0 + seed, 1.0 + seed) for seed in seeds}
        parts = [
            compare(norms[s], ("variance", values[s], values[s], values[s]), seed=s) for s in seeds
        ]
        return of(pd.concat(parts))

    found = difference(rows(0), rows(3))
    assert found.verdict.startswith("Undecided") and not found.agree
    assert "measure several (--seeds)" in found.text()
    row = line(difference(rows(0, 1, 2), rows(3, 4)), "variance")
    expected = stats.ttest_ind([11.0, 12.5], [5.0, 7.0, 6.4])
    assert (row["z"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert line(difference(rows(0, 1, 2), rows(3)), "variance")["p"] < 1


def test_common_seeds_are_compared_with_each_other():
    def rows(*seeds):
        return of(pd.concat([compare(("variance", s, s - 0.5, s + 0.5), seed=s) for s in seeds]))

    found = difference(rows(1, 2, 3), rows(2, 3, 4))
    assert found.frame["seed"].tolist() == [2, 3]
    assert found.verdict.startswith("The same: 2 rows")
    assert "Only in A: 1 rows (DisARM)." in found.text()
    assert "Only in B: 1 rows (DisARM)." in found.text()


def test_a_diagnosis_of_another_seed_has_other_keys():
    """Its rows do not say which seed it has."""
    a, b = (compare(("variance", v, v - 0.1, v + 0.1)) for v in (1.0, 1.05))
    said = [difference(of(a, "diagnose", seed=0), of(b, "diagnose", seed=s)).text() for s in (0, 1)]
    assert ["Seeds and numbers of samples are the same" in text for text in said] == [True, False]


def test_exact_values_at_points_that_moved_are_not_compared():
    moved = ("truth_norm", 0.301, 0.301, 0.301)
    found = difference(compare(NORM, ("mse", 1, 1, 1)), compare(moved, ("mse", 1.01, 1.01, 1.01)))
    assert found.verdict.startswith("Undecided")
    assert "apart by up to 0.33 %" in found.text()


def test_training_is_compared_over_seeds():
    a, b = (of(synthetic.training(rng=rng, diverges=False), "train") for rng in (0, 1))
    found = difference(a, b)
    row = found.frame[found.frame["metric"] == "negative_bound"].iloc[0]

    def values(rows):
        last = rows[rows["step"] == rows["step"].max()]
        for name in ("estimator", "learning_rate", "metric", "split", "bound_samples"):
            last = last[last[name] == row[name]]
        return last["value"]

    expected = stats.ttest_ind(values(b), values(a))
    assert (row["z"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.agree and found.verdict.startswith("Equal within")
    assert difference(a, a).verdict.startswith("The same: ")
    # An evaluation is more precise than training is repeatable.
    one = [rows[rows["seed"] == 0] for rows in (a, b)]
    assert difference(*(of(rows, "train") for rows in one)).verdict.startswith("Undecided")


def test_what_differs_before_the_end_of_training_is_not_the_same():
    a = of(synthetic.training(diverges=False), "train")
    b = a.copy()
    early = b.index[b["metric"] == "loss"][0]
    b.loc[early, "value"] *= 2
    assert difference(a, b).verdict.startswith("Equal within")


@pytest.mark.parametrize(
    "study", ["compare", "diagnose", "temperature", "train", "reproduce", "claims", "opponents"]
)
def test_every_study(study):
    made = studies()
    rows = of(made.get(study, made["compare"]), study)
    found = difference(rows, rows)
    assert found.verdict.startswith("The same: ") and found.agree
    other = rows.copy()
    moved = [name for name in ("value", "low", "high") if name in other]
    other[moved] = other[moved] * 1.5 + 100
    assert not difference(rows, other).agree
    for width in (60, 80, 200):
        assert max(map(len, found.text(width).splitlines())) <= width
        assert max(map(len, difference(rows, other).text(width).splitlines())) <= width


def test_estimators_of_one_only_and_skipped_ones():
    some = dict(list(synthetic.ESTIMATORS.items())[:3])
    a, b = of(synthetic.comparison(some)), of(synthetic.comparison())
    found = difference(a, b)
    assert not (found.frame["metric"] == "skipped").any()
    assert "Only in B: " in found.text() and "Only in A" not in found.text()
    assert "DisARM" not in found.text() and "ARM and 13 more)." in found.text().replace("\n", " ")


def test_other_evaluations_are_noted():
    found = difference(compare(SAME), compare(SAME, evaluations=3))
    assert found.frame["note"].tolist() == ["evaluations of f: 2 in A, 3 in B"]


def test_what_cannot_be_compared():
    rows = compare(SAME)
    with pytest.raises(ValueError, match="of compare, the second of train"):
        difference(rows, of(rows, "train"))
    with pytest.raises(ValueError, match="rows of figure cannot be matched"):
        difference(of(rows, "figure"), of(rows, "figure"))
    with pytest.raises(ValueError, match=r"no row in common \(problem: X \(A\), Y \(B\)\)"):
        difference(
            of(rows.assign(problem="X"), problem="X"), of(rows.assign(problem="Y"), problem="Y")
        )
    with pytest.raises(ValueError, match="a row twice: .*DisARM, variance"):
        difference(rows, of(pd.concat([rows, rows])))
    with pytest.raises(ValueError, match="is empty"):
        difference(rows, of(rows.iloc[:0]))
    with pytest.raises(ValueError, match="lacks the column value"):
        difference(rows, of(rows.drop(columns="value")))


def test_metadata_that_differ():
    a = {
        "configuration": {"seed": 0, "estimators": ["X", "Y"], "problem": "P", "tuning_steps": 3},
        "environment": {"jax": "1", "platform": "cpu"},
        "provenance": {"command": "a", "versions": {"jax": "1", "scipy": "1"}, "revision": ""},
    }
    b = {
        "configuration": {"seed": 1, "estimators": ["Y", "Z"], "problem": "P", "tuning_steps": 4},
        "environment": {"jax": "2", "platform": "cpu"},
        "provenance": {"command": "b", "versions": {"jax": "2", "scipy": "1"}, "revision": "abc"},
    }
    assert differing(a, b) == [
        "seed: 0 (A), 1 (B)",
        "estimators: only in A: X; only in B: Z",
        "tuning steps: 3 (A), 4 (B)",
        "jax: 1 (A), 2 (B)",
        "revision: none (A), abc (B)",
    ]
    assert differing(a, a) == [] and differing(a, {}) == []
