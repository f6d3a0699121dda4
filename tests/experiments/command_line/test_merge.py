"""The command `merge`: results of several runs become one results folder."""

import itertools

import pandas as pd
import pytest

import estimax
from experiments.command_line import main
from experiments.running.results import FILE
from tests.experiments.helpers.command import contents, refused

SMALL = ["--problem", "Quadratic", "--samples", "64"]
JOBS = {
    "first": ["--estimators", "DisARM", "ScoreFunction"],
    "second": ["--estimators", "ScoreFunction", "GumbelSoftmax[0.5]"],
    "third": ["--estimators", "DisARM", "ScoreFunction", "GumbelSoftmax[0.5]", "--seed", "1"],
}
WHOLE = ["--estimators", "DisARM", "ScoreFunction", "GumbelSoftmax[0.5]", "--seeds", "2"]


def measure(folder, options):
    assert main(["compare", *SMALL, *options, "--output", str(folder)]) == 0
    return str(folder)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    at = tmp_path_factory.mktemp("jobs")
    return [measure(at / name, options) for name, options in JOBS.items()]


def merge(folder, *jobs):
    assert main(["merge", *map(str, jobs), "--output", str(folder)]) == 0
    return pd.read_parquet(folder / FILE)


def values(rows):
    rows = rows[rows["metric"] != "seconds"]
    keys = ["estimator", "seed", "metric"]
    rows = rows[[*keys, "value", "low", "high", "samples", "note"]]
    return rows.sort_values(keys, ignore_index=True)


def test_jobs_are_the_run_that_they_are_parts_of(jobs, tmp_path, capsys):
    rows = merge(tmp_path / "all", *jobs)
    printed = capsys.readouterr()
    assert "2 seeds" in printed.out and f"results in {tmp_path / 'all'}" in printed.out
    measure(tmp_path / "whole", WHOLE)
    pd.testing.assert_frame_equal(values(rows), values(pd.read_parquet(tmp_path / "whole" / FILE)))
    assert rows.attrs["complete"] and len(rows.attrs["sources"]) == 3
    names = {"table.txt", "table.tex", "bias_variance.pdf", "error_cost.png", FILE}
    assert names <= set(contents(tmp_path / "all"))
    capsys.readouterr()
    assert main(["diff", str(tmp_path / "all"), str(tmp_path / "whole")]) == 0
    assert "The same" in capsys.readouterr().out.splitlines()[-1]


def test_the_merged_folder_is_read_as_any(jobs, tmp_path, capsys):
    merge(tmp_path / "two", *jobs[:2])
    merge(tmp_path / "further", tmp_path / "two", jobs[2])
    further = estimax.read(tmp_path / "further")
    assert "2 seeds" in repr(further) and further.plot() is not None
    for order in itertools.islice(itertools.permutations(jobs), 1, None):
        pd.testing.assert_frame_equal(values(estimax.merge(*order).frame), values(further.frame))
    capsys.readouterr()
    assert main(["report", str(tmp_path)]) == 0
    assert "left out" not in capsys.readouterr().err
    page = (tmp_path / "report.html").read_text()
    assert page.count("estimax compare") or "compare Quadratic" in page


def test_other_results_in_the_folder_are_kept(jobs, tmp_path, capsys):
    out = tmp_path / "all"
    merge(out, *jobs[:2])
    before = contents(out)
    merge(out, *jobs[:2])  # the same again
    assert contents(out)[FILE] == before[FILE]
    capsys.readouterr()
    line = refused(capsys, "merge", *jobs, "--output", out)
    assert "holds other results" in line and "--force" in line
    assert contents(out)[FILE] == before[FILE]
    assert main(["merge", str(out), jobs[2], "--output", str(out), "--force"]) == 0
    assert len(estimax.read(out).frame.attrs["sources"]) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "table.txt").write_text("mine")
    capsys.readouterr()
    line = refused(capsys, "merge", *jobs, "--output", tmp_path / "mine")
    assert "which estimax did not write" in line
    assert (tmp_path / "mine" / "table.txt").read_text() == "mine"


def test_a_run_does_not_continue_merged_ones(jobs, tmp_path, capsys):
    merge(tmp_path, *jobs)
    before = contents(tmp_path)
    capsys.readouterr()
    line = refused(capsys, "compare", *SMALL, *WHOLE, "--output", tmp_path)
    assert "merged results, which no run continues" in line
    assert contents(tmp_path) == before


def test_parts_of_a_run_are_continued(jobs, tmp_path, capsys):
    """Two copies of a run that was interrupted."""
    rows = pd.read_parquet(f"{jobs[0]}/{FILE}")
    rows.attrs["complete"] = False
    for name in "DisARM", "ScoreFunction":
        part = rows[(rows["estimator"] == name) & (rows["metric"] != "seconds")]
        (tmp_path / name).mkdir()
        part.to_parquet(tmp_path / name / FILE)
    union = merge(tmp_path / "all", tmp_path / "DisARM", tmp_path / "ScoreFunction")
    assert not union.attrs["complete"]
    assert "run not complete" in capsys.readouterr().out
    measure(tmp_path / "all", JOBS["first"])
    done = pd.read_parquet(tmp_path / "all" / FILE)
    assert done.attrs["complete"] and (done["metric"] == "seconds").sum() == 2
    pd.testing.assert_frame_equal(values(done), values(rows))


def test_training(tmp_path):
    arguments = ["train", "--problem", "Quadratic", "--steps", "3", "--estimators"]
    for name, more in {"a": ["DisARM"], "b": ["ScoreFunction", "--seed", "2"]}.items():
        assert main([*arguments, *more, "--output", str(tmp_path / name)]) == 0
    rows = merge(tmp_path / "all", tmp_path / "a", tmp_path / "b")
    assert set(rows["estimator"]) == {"DisARM", "ScoreFunction"} and set(rows["seed"]) == {0, 2}
    assert (tmp_path / "all" / "training.pdf").exists()


def test_what_is_refused(jobs, tmp_path, capsys):
    def line(*more):
        found = refused(capsys, "merge", jobs[0], *more, "--output", tmp_path / "new")
        assert not (tmp_path / "new").exists()
        return found

    assert "there is no such folder" in line(tmp_path / "nothing")
    assert "the following arguments are required: --output" in refused(capsys, "merge", jobs[0])
    rows = pd.read_parquet(f"{jobs[0]}/{FILE}")
    other = rows.copy()
    other["value"] *= 2
    other.to_parquet(tmp_path / "other.parquet")
    assert "different numbers for Quadratic, " in (found := line(tmp_path / "other.parquet"))
    assert "other.parquet" in found and jobs[0] in found
    rows.attrs["environment"]["jax"] = "0.1"
    rows.attrs["identity"] = "another"
    rows.to_parquet(tmp_path / "old.parquet")
    assert "different jax: " in (found := line(tmp_path / "old.parquet")) and "--mixed" in found
    mixed = ["merge", jobs[0], str(tmp_path / "old.parquet"), "--mixed"]
    assert main([*mixed, "--output", str(tmp_path / "mixed")]) == 0
    assert "0.1" in estimax.read(tmp_path / "mixed").frame.attrs["environment"]["jax"]
    capsys.readouterr()
    rows.attrs["sources"] = [{"identity": 3}]
    rows.to_parquet(tmp_path / "wrong.parquet")
    assert "identity of a source in its metadata is int" in line(tmp_path / "wrong.parquet")
    assert "no estimator is called REBAR" in line(jobs[1], "--only", "REBAR")
    budget = measure(tmp_path / "budget", ["--budget", "7", *JOBS["first"]])
    capsys.readouterr()
    assert "their budget is 100.0 " in line(budget)


@pytest.mark.draws
def test_several_problems(jobs, tmp_path, capsys):
    """Bits and a categorical variable, whose estimators are not all the same."""
    options = ["--estimators", "ScoreFunction", "GumbelSoftmax[0.5]", "CategoricalDisARM"]
    other = measure(tmp_path / "simplex", ["--problem", "SimplexQuadratic", *options])
    coupled = measure(tmp_path / "coupled", ["--problem", "Coupled", *JOBS["first"]])
    capsys.readouterr()
    rows = merge(tmp_path / "all", *jobs[:2], other, coupled)
    printed = capsys.readouterr()
    for problem in ("Quadratic", "SimplexQuadratic", "Coupled"):
        assert f"\n{problem}\n" in printed.out
        assert f"\n{problem}: Not ranked" in printed.out
    assert "no figure" not in printed.err
    assert {"error_cost.pdf", "error_cost.png"} <= set(contents(tmp_path / "all"))
    assert "bias_variance.pdf" not in contents(tmp_path / "all")
    drawn = pd.read_csv(tmp_path / "all" / "error_cost.csv")
    assert list(drawn["place"].unique()) == ["Quadratic", "SimplexQuadratic", "Coupled"]
    read = estimax.read(tmp_path / "all")
    assert read.figures == ("error_cost",) and len(read.plot().axes) == 3
    assert rows.attrs["configuration"]["problem"] == ["Quadratic", "SimplexQuadratic", "Coupled"]
    again = ["merge", str(tmp_path / "all"), "--output", str(tmp_path / "all")]
    assert main([*again, "--only", "ScoreFunction", "--format", "svg"]) == 0
    assert "error_cost.svg" in contents(tmp_path / "all")
    capsys.readouterr()
    assert main(["diff", str(tmp_path / "all"), coupled]) == 0
    assert main(["report", str(tmp_path / "all")]) == 0
    page = (tmp_path / "all" / "report.html").read_text()
    assert "compare Quadratic, SimplexQuadratic, Coupled" in page


@pytest.mark.draws
def test_temperatures_of_several_problems(tmp_path, capsys):
    options = ["--temperatures", "0.5", "2", "--samples", "64", "--estimators", "GumbelSoftmax"]
    for problem in ("Quadratic", "SimplexQuadratic"):
        arguments = ["temperature", "--problem", problem, *options]
        assert main([*arguments, "--output", str(tmp_path / problem)]) == 0
    merge(tmp_path / "all", tmp_path / "Quadratic", tmp_path / "SimplexQuadratic")
    assert "temperature.pdf" in contents(tmp_path / "all")
    figure = estimax.read(tmp_path / "all").plot()
    assert [ax.get_title() for ax in figure.axes[:2]] == ["Quadratic", "SimplexQuadratic"]
