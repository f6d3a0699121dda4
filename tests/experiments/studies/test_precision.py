"""The number of samples for intervals of a chosen length."""

import math

import numpy as np
import pandas as pd
import pytest

from experiments.command_line import main
from experiments.command_line.options import fraction
from experiments.measurement.rows import metric_rows
from experiments.statistics import Truth
from experiments.studies.comparison.precision import needed_samples, relative_length
from tests.experiments.helpers.drawn import blocks_of

SPECTRUM = np.array([1.0, 0.5, 0.25])
TRUTH = np.array([1.0, 2.0, 3.0])
BIAS = np.array([0.1, 0.0, 0.0])


def rows_of(rng, count):
    """Rows of gradients with a normal law, rounded up to whole blocks."""
    samples = rng.normal(size=(-(-count // 32) * 32, 3)) * np.sqrt(SPECTRUM) + TRUTH + BIAS
    return metric_rows(blocks_of(samples, TRUTH), Truth(TRUTH), 1, 100.0)


def named(rows, metric):
    return next(row for row in rows if row["metric"] == metric)


def test_intervals_cover_and_are_as_short_as_asked():
    """Intervals at 95 % whose number of samples depends on pilots of their own."""
    rng, runs, precision = np.random.default_rng(0), 300, 0.1
    covered, lengths = [], []
    for _ in range(runs):
        count, _ = needed_samples(lambda _, n: [rows_of(rng, n)], precision, 64, 2**18)
        rows = rows_of(rng, count)
        found = named(rows, "variance")
        covered.append(found["low"] <= SPECTRUM.sum() <= found["high"])
        lengths.append([relative_length(named(rows, m)) for m in ("variance", "equal_cost_error")])
    # 95 % less four of their standard errors.
    assert np.mean(covered) > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
    # The pilot's own error makes some longer than asked.
    assert np.mean(np.max(lengths, axis=1) <= precision) > 0.7
    assert np.max(lengths) < 2 * precision


def estimate(value, longer):
    """Rows of variance and error with intervals so long."""
    ends = {"low": value - longer, "high": value + longer / 2}
    return [{"metric": m, "value": value, **ends} for m in ("variance", "equal_cost_error")]


def asked(rows_of_pilot, precision=0.1, least=100, most=10_000):
    """Return the answer, and the sizes of the pilots."""
    sizes = []

    def pilot(number, count):
        assert number == len(sizes)
        sizes.append(count)
        return rows_of_pilot(count)

    return needed_samples(pilot, precision, least, most), sizes


def test_pilots_grow_until_one_foresees_the_number():
    one = asked(lambda count: [estimate(2.0, 20 / math.sqrt(count))])
    # A hundred samples give 100 %, so 10 % takes 1.2 times a hundred times as many: too many.
    assert one == ((10_000, True), [100, 800, 6400])
    few = asked(lambda count: [estimate(2.0, 4 / math.sqrt(count))])
    assert few == ((480, False), [100])
    # The most demanding estimator decides; one that is precise already needs the least number.
    both = asked(lambda count: [estimate(2.0, 1e-9), estimate(2.0, 4 / math.sqrt(count))])
    assert both == few
    assert asked(lambda count: [estimate(2.0, 1e-9)]) == ((100, False), [100])


def test_without_an_interval_the_pilots_grow_to_the_limit():
    nan = float("nan")
    assert asked(lambda count: [estimate(1.0, nan)]) == ((10_000, True), [100, 800, 6400, 10_000])
    late = asked(lambda count: [estimate(1.0, 0.0499 if count > 500 else nan)])
    assert late == ((240, False), [100, 800])


def test_a_value_of_zero_needs_no_more():
    assert asked(lambda count: [estimate(0.0, 1.0), estimate(0.0, 0.0)])[0] == (100, False)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), (" 12.5% ", 0.125)])
def test_fractions(text, value):
    assert fraction(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "5", "-0.1", "100%", "nan", "%", "five", "0%"])
def test_what_is_no_fraction(text, capsys, tmp_path):
    assert main(["compare", f"--precision={text}", "--output", str(tmp_path / "out")]) == 2
    assert "must be between 0 and 100%" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_from_the_command_line(capsys, tmp_path):
    """Each estimator has its own number of samples; a limit that is reached is said."""
    out = tmp_path / "out"
    command = ["compare", "--problem", "Quadratic", "--samples", "256", "--precision", "10%"]
    command += ["--estimators", "Exact", "GumbelSoftmax[0.5]", "StraightThrough"]
    assert main([*command, "--most-samples", "100000", "--output", str(out)]) == 0
    rows = pd.read_parquet(out / "results.parquet").set_index(["method", "metric"])
    samples = rows["samples"].xs("variance", level="metric")
    assert samples["Exact"] == 32 and 256 < samples["StraightThrough"] < 100_000
    for metric in ("variance", "equal_cost_error"):
        assert relative_length(rows.loc["StraightThrough", metric]) < 0.12
    assert samples["GumbelSoftmax"] > samples["StraightThrough"]

    small = tmp_path / "small"
    assert main([*command, "--most-samples", "500", "--output", str(small)]) == 0
    assert "a precision of 10 % takes more than 500 samples" in capsys.readouterr().out
