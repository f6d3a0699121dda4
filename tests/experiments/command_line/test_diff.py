"""The command `diff`: two results are compared, and the exit status is the verdict."""

from pathlib import Path

import jax
import pandas as pd
import pytest
from scipy import stats

import estimax
from analysis.tables.difference import difference
from estimators import Bernoulli, DisARM, GumbelSoftmax, ScoreFunction, pytree
from experiments.command_line import main
from experiments.measurement.point import prepare
from experiments.measurement.rows import estimator_columns, metric_rows
from experiments.problems import Quadratic
from experiments.running.results import FILE
from tests.experiments.helpers.command import refused

SMALL = ["--problem", "Quadratic", "--samples", "512"]  # enough for intervals
ESTIMATORS = ["--estimators", "DisARM", "GumbelSoftmax[0.5]"]


def measure(folder, *more):
    assert main(["compare", *SMALL, *ESTIMATORS, "--output", str(folder), *map(str, more)]) == 0
    return str(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    at = tmp_path_factory.mktemp("runs")
    return [measure(at / "a"), measure(at / "b"), measure(at / "other", "--seed", 1)]


def changed(folder, to, change):
    """Write the results of a folder with other rows, as another version might have measured."""
    rows = pd.read_parquet(f"{folder}/{FILE}")
    other = change(rows.copy())
    other.attrs = rows.attrs
    to.mkdir()
    other.to_parquet(to / FILE)
    return str(to)


def scale_variance(rows):
    chosen = (rows["estimator"] == "DisARM") & (rows["metric"] == "variance")
    rows.loc[chosen, ["value", "low", "high"]] *= 2
    return rows


def test_the_same_run_twice(runs, capsys):
    assert main(["diff", runs[0], runs[1]]) == 0
    out = capsys.readouterr().out
    assert "The same: " in out.splitlines()[-1]
    assert "seed" not in out and "times A's" in out


def test_another_seed(runs, capsys):
    assert main(["diff", runs[0], runs[2]]) == 0
    out = capsys.readouterr().out
    assert "  seed: 0 (A), 1 (B)\n" in out
    assert out.index("seed: 0") < out.index("variance")
    assert "Equal within their errors" in out.splitlines()[-1]


def test_a_difference_is_status_one(runs, tmp_path, capsys):
    other = changed(runs[0], tmp_path / "other", scale_variance)
    assert main(["diff", runs[0], other, "--output", str(tmp_path / "out"), "--rows", "1"]) == 1
    printed = capsys.readouterr()
    assert "Differ: 1 of " in printed.out and printed.out.rstrip().endswith("variance of DisARM.")
    assert "difference.txt, .md, .csv and .tex" in printed.err
    names = {path.name for path in (tmp_path / "out").glob("*.*")} - {".estimax"}
    assert names == {f"difference.{ending}" for ending in ("txt", "md", "csv", "tex")}
    written = pd.read_csv(tmp_path / "out" / "difference.csv")
    assert written["outcome"].iloc[0] == "differs" and (written["outcome"] == "time").any()
    # A folder is written again, and one may be that of results.
    assert main(["diff", runs[0], other, "--output", str(tmp_path / "out")]) == 1
    assert main(["diff", runs[1], other, "--output", runs[1]]) == 1
    assert estimax.read(runs[1]).frame.equals(pd.read_parquet(f"{runs[1]}/{FILE}"))


def test_a_changed_table_is_kept(runs, tmp_path, capsys):
    command = ["diff", *runs[:2], "--output", str(tmp_path)]
    assert main(command) == 0
    capsys.readouterr()
    (tmp_path / "difference.md").write_text("mine")
    assert "difference.md is not the file that estimax wrote" in refused(capsys, *command)
    assert (tmp_path / "difference.md").read_text() == "mine"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "difference.csv").write_text("mine")
    line = refused(capsys, "diff", *runs[:2], "--output", tmp_path / "new")
    assert "difference.csv, which estimax did not write there" in line


def test_files_and_python(runs, tmp_path):
    found = estimax.diff(runs[0], f"{runs[1]}/{FILE}")
    assert found.agree and found.verdict.startswith("The same")
    assert "The same" in repr(found) and "<table" in found._repr_html_()
    results = [estimax.read(folder) for folder in runs[:2]]
    assert estimax.diff(*results).frame.equals(found.frame)
    with pytest.raises(estimax.UsageError, match="no results in"):
        estimax.diff(runs[0], tmp_path)


def test_what_is_no_result_is_refused(runs, tmp_path, capsys):
    def line(other):
        return refused(capsys, "diff", runs[0], other)

    assert "there is no such folder" in line(tmp_path / "nothing")
    assert "No such file" in line(tmp_path)
    (tmp_path / "text").write_text("text")
    assert f"no results in {tmp_path / 'text'}" in line(tmp_path / "text")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    content = Path(runs[0], FILE).read_bytes()
    (damaged / FILE).write_bytes(content[: len(content) // 2])
    assert "cannot be read" in line(damaged)
    assert "is empty" in line(changed(runs[0], tmp_path / "empty", lambda rows: rows.iloc[:0]))
    twice = changed(runs[0], tmp_path / "twice", lambda rows: pd.concat([rows, rows]))
    assert "holds a row twice" in line(twice)


def test_other_studies_are_refused(runs, tmp_path, capsys):
    trained = tmp_path / "trained"
    arguments = ["--problem", "Quadratic", "--estimators", "DisARM", "--steps", "2"]
    assert main(["train", *arguments, "--output", str(trained)]) == 0
    capsys.readouterr()
    line = refused(capsys, "diff", runs[0], trained)
    assert "are of compare, the second of train" in line
    assert main(["diff", str(trained), str(trained)]) == 0


# With real gradients ----------------------------------------------------------------------------

POINT = prepare(Quadratic(), jax.random.key(0))
ALL = [DisARM(), ScoreFunction(), GumbelSoftmax(0.5)]


@pytree
class Longer(DisARM):
    """DisARM, with gradients that are 10 % too long."""

    distributions = (Bernoulli,)

    def estimate(self, key, distribution, f):
        value = super().estimate(key, distribution, f)
        return 1.1 * value - 0.1 * jax.lax.stop_gradient(value)


def table(seed, estimators=ALL, samples=512):
    shared = {"study": "compare", "problem": "Quadratic", "objective": "", "group": "logits"}
    rows = []
    for named, estimator in zip(ALL, estimators, strict=True):
        (blocks,) = POINT.draw(estimator, jax.random.key(seed), samples)
        about = shared | {"seed": seed, "step": 0} | estimator_columns(named)
        evaluations = POINT.problem.evaluations(estimator, POINT.distribution)
        rows += [about | row for row in metric_rows(blocks, POINT.truth, evaluations, 100.0)]
    found = pd.DataFrame(rows)
    found.attrs = {"configuration": {"study": "compare", "seed": seed}}
    return found


@pytest.mark.many_samples
def test_two_seeds_are_rarely_called_different():
    """Among 450 pairs with eight estimators on two toys, nine were."""
    pairs = 15
    alarms = sum(not difference(table(2 * i), table(2 * i + 1)).agree for i in range(pairs))
    assert stats.binom.sf(alarms - 1, pairs, 0.05) > 1e-4


@pytest.mark.many_samples
def test_gradients_that_are_too_long_are_found():
    found = difference(table(0), table(1, [Longer(), *ALL[1:]], samples=1024))
    assert not found.agree
    differs = found.frame[found.frame["outcome"] == "differs"]
    assert set(differs["estimator"]) == {"DisARM"} and "variance" in set(differs["metric"])
