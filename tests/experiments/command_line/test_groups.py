"""Comparisons and sweeps of several groups of parameters."""

import numpy as np
import pandas as pd
import pytest

import estimax
from analysis.studies import readable
from experiments.command_line import main
from experiments.running.results import FILE
from tests.experiments.helpers.command import SMALL, numbers, refused

ARGUMENTS = [
    *("compare", "--problem", "VAE[size=2,depth=2,batch_size=3]", "--samples", "64"),
    *("--estimators", "ScoreFunction", "StraightThrough", "--train-steps", "3", "--format", "png"),
]
GROUPS = ["logits_2", "decoder", "all"]


def run(folder, *arguments):
    assert main([*map(str, arguments), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("groups") / "out", *ARGUMENTS, "--group", *GROUPS)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run(tmp_path_factory.mktemp("alone") / "out", *ARGUMENTS, "--group", "decoder")


def test_each_is_measured_as_alone(whole, alone):
    found, expected = numbers(whole, group="decoder"), numbers(alone)
    assert list(found["metric"]) == list(expected["metric"])
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-9)
    # One group, given in a list or not, is the same run.
    settings = pd.read_parquet(alone / FILE).attrs["configuration"]
    assert settings["group"] == "decoder"
    settings = pd.read_parquet(whole / FILE).attrs["configuration"]
    assert settings["group"] == GROUPS


def test_each_has_its_rows_and_its_block(whole):
    rows = pd.read_parquet(whole / FILE)
    sizes = rows.groupby(["estimator", "group"], sort=False).size()
    assert set(sizes.index.get_level_values("group")) == set(GROUPS)
    assert len(sizes) == 2 * len(GROUPS) and sizes.min() >= 9
    times = rows[rows["metric"] == "seconds"].groupby("estimator")["value"]
    assert (times.nunique() == 1).all()  # of all groups together
    table = readable(rows)
    assert list(table.frame["group"].unique()) == GROUPS
    assert [f"group {name}" for name in GROUPS] == list(table.frame["place"].unique())
    assert any(said.startswith("Group decoder: A zero gradient") for said in table.findings)
    assert "gradient with respect to" not in table.heading
    assert any("same gradients" in note for note in table.notes)
    assert (whole / "by_group.png").exists() and not (whole / "bias_variance.png").exists()


def test_a_finished_run_is_not_run_again(whole, capsys):
    before = (whole / FILE).read_bytes()
    run(whole, *ARGUMENTS, "--group", *GROUPS)
    assert "already contains this run" in capsys.readouterr().err
    assert (whole / FILE).read_bytes() == before


def test_an_estimator_that_is_skipped_is_so_in_each(tmp_path, capsys):
    out = tmp_path / "out"
    run(out, "compare", *SMALL, "--estimators", "bounds", "Exact", "--group", "all", "logits")
    lines = capsys.readouterr().err.count("skipped: ")
    rows = pd.read_parquet(out / FILE)
    skipped = rows[rows["metric"] == "skipped"]
    assert skipped["estimator"].nunique() == lines > 0
    assert (skipped.groupby("estimator")["group"].nunique() == 2).all()
    assert readable(rows).skipped.keys() <= set(rows["short_name"])


def test_runs_of_other_groups_are_merged_and_compared(whole, alone, tmp_path, capsys):
    other = run(tmp_path / "other", *ARGUMENTS, "--group", "logits_2")
    run(tmp_path / "both", "merge", alone, other)
    rows = pd.read_parquet(tmp_path / "both" / FILE)
    assert set(rows["group"]) == {"decoder", "logits_2"}
    assert rows.attrs["configuration"]["group"] == ["decoder", "logits_2"]
    assert list(readable(rows).frame["group"].unique()) == ["decoder", "logits_2"]
    # What both have is kept once.
    run(tmp_path / "more", "merge", whole, tmp_path / "both")
    assert len(pd.read_parquet(tmp_path / "more" / FILE)) == len(pd.read_parquet(whole / FILE))
    capsys.readouterr()
    assert main(["diff", str(whole), str(alone)]) == 0
    assert "same" in capsys.readouterr().out


def test_an_unknown_group_is_refused(capsys):
    line = refused(capsys, *ARGUMENTS, "--group", "decoder", "logits_3")
    assert "no group 'logits_3' (did you mean 'logits_2'?)" in line
    assert "encoder_1, encoder_2" in line and line.rstrip().endswith("all")


@pytest.mark.slow
def test_the_precision_holds_for_every_group(tmp_path):
    more = ["--group", "logits", "decoder", "--precision", "20%", "--estimators", "DisARM"]
    problem = ["--problem", "VAE[size=2,batch_size=3]", "--samples", "64", "--train-steps", "3"]
    rows = numbers(run(tmp_path / "out", "compare", *problem, *more), metric="variance")
    assert rows["samples"].nunique() == 1 and len(rows) == 2
    length = (rows["high"] - rows["value"]) / rows["value"]
    assert length.max() < 0.25
    each = [
        numbers(run(tmp_path / name, "compare", *problem, *more, "--group", name))["samples"].max()
        for name in ("logits", "decoder")
    ]
    assert rows["samples"].iloc[0] == max(each)


def test_a_sweep_has_panels_and_blocks_of_each_group(tmp_path):
    sweep = ["temperature", *SMALL, "--estimators", "GumbelSoftmax", "--temperatures", "0.5", "1"]
    out = run(tmp_path / "out", *sweep, "--group", "logits", "all", "--format", "png")
    rows = numbers(out)
    assert set(rows["group"]) == {"logits", "all"}
    one, other = (rows[rows["group"] == name]["value"].tolist() for name in ("logits", "all"))
    assert one == other  # of a toy, the same parameters
    points = pd.read_csv(out / "temperature.csv")
    assert set(points["place"]) == {
        "group logits",
        "group all",
    }


def test_checkpoints_and_groups_have_a_block_each(tmp_path):
    train = ["train", "--problem", "Coupled[bits=3]", "--steps", "4", "--estimators", "DisARM"]
    kept = run(tmp_path / "run", *train, "--keep-steps", "0")
    found = estimax.compare(
        estimators=["ScoreFunction"],
        at=kept,
        step=[0, 4],
        group=["logits", "all"],
        samples=64,
    )
    names = [f"group {name}, step {step}" for step in (0, 4) for name in ("logits", "all")]
    assert list(found.table().frame["place"]) == names
    assert set(found.figures) == {"over_steps", "by_group"}
    assert (
        found.frame.groupby(["step", "group"])["metric"]
        .apply(lambda own: (own == "seconds").sum())
        .eq(1)
        .all()
    )
