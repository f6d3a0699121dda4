"""Comparisons at points of several seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from experiments.command_line import main
from experiments.measurement import point
from experiments.running.results import FILE, Results
from tests.experiments.helpers.command import numbers, refused

ARGUMENTS = [
    *("compare", "--problem", "VAE[size=2,batch_size=3]", "--samples", "64", "--train-steps", "3"),
    *("--estimators", "ScoreFunction", "StraightThrough", "--tuning-steps", "3"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("seeds") / "out"
    made = []

    class Counted(point.Instrument):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point, "Instrument", Counted)
        assert main([*ARGUMENTS, "--seed", "4", "--seeds", "3", "--output", str(out)]) == 0
    assert len(made) == 1  # so that each program is compiled once
    return out


def test_each_seed_is_measured_as_alone(whole, tmp_path):
    assert set(numbers(whole)["seed"]) == {4, 5, 6}
    assert main([*ARGUMENTS, "--seed", "5", "--output", str(tmp_path)]) == 0
    pd.testing.assert_frame_equal(numbers(whole, seed=5), numbers(tmp_path), check_exact=True)
    # Each seed trains to a point of its own.
    norms = numbers(whole, metric="truth_norm")["value"]
    assert norms.nunique() == 3


def test_the_table_has_means_over_seeds(whole):
    rows = pd.read_parquet(whole / FILE)
    ((_, part),) = analysis.contexts(rows)
    table = analysis.comparison_table(part)
    assert "3 seeds" in table.heading and table.context["seeds"] == 3
    frame = table.frame.set_index("estimator")
    for name in ("ScoreFunction", "StraightThrough"):
        chosen = (rows["estimator"] == name) & (rows["metric"] == "variance")
        values = rows.loc[chosen, "value"]
        mean, half = values.mean(), stats.sem(values) * stats.t.ppf(0.975, 2)
        found = frame.loc[name, ["variance", "variance_low", "variance_high"]].astype(float)
        np.testing.assert_allclose(found, [mean, mean - half, mean + half])
        assert frame.loc[name, "seconds"] > 0  # timed once
    norms = rows.loc[rows["metric"] == "truth_norm"].drop_duplicates("seed")["value"]
    assert table.settings["truth_norm"] == pytest.approx(np.sqrt((norms**2).mean()))
    assert {path.name for path in whole.glob("*.pdf")} == {"bias_variance.pdf", "error_cost.pdf"}


def test_a_run_that_ends_continues_with_the_missing_seeds(whole, tmp_path, monkeypatch):
    add, added = Results.add, []

    def until(results, rows):
        added.append(rows)
        if len(added) == 4:
            raise KeyboardInterrupt
        add(results, rows)

    command = [*ARGUMENTS, "--seed", "4", "--seeds", "3", "--output", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(Results, "add", until)
        assert main(command) == 130
    before = pd.read_parquet(tmp_path / "out" / FILE)
    assert not before.attrs["complete"] and set(before["seed"]) == {4, 5}
    assert main(command) == 0
    pd.testing.assert_frame_equal(numbers(tmp_path / "out"), numbers(whole), check_exact=True)


def test_seeds_are_below_the_largest(capsys):
    line = refused(capsys, *ARGUMENTS, "--seed", 2**32 - 1, "--seeds", 2)
    assert "--seed must be at most" in line
