"""Measurements at the checkpoints of training runs."""

import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pandas as pd
import pytest

import estimax
from estimators import ScoreFunction
from experiments.command_line import main
from experiments.measurement import point
from experiments.measurement.keys import named_keys
from experiments.measurement.rows import metric_rows
from experiments.problems import VAE
from experiments.running.results import FILE, Results
from experiments.system.folder import OWN
from experiments.training.batch import Batch
from experiments.training.run import Recipe, Run
from tests.experiments.helpers.command import USER_FILE, numbers, refused

pytestmark = pytest.mark.xdist_group("at")

TRAIN = [
    *("train", "--problem", "Coupled[bits=3]", "--seeds", "2", "--steps", "60"),
    *("--estimators", "DisARM", "ScoreFunction[MovingAverage[0.9]]"),
]
MEASURE = ["--estimators", "ScoreFunction", "StraightThrough", "--samples", "64"]


def trained(folder, *arguments):
    assert main([*map(str, arguments), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("at") / "run"
    return trained(out, *TRAIN, "--keep-steps", 0, 20, 40)


@pytest.fixture(scope="module")
def several(run, tmp_path_factory):
    made = []

    class Counted(point.Instrument):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    out = tmp_path_factory.mktemp("several") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(point, "Instrument", Counted)
        trained(out, "compare", "--at", run, "--step", 40, 0, *MEASURE)
    assert len(made) == 1  # so that each program is compiled once
    return out


def test_the_numbers_are_those_of_the_same_parameters(tmp_path):
    """To the bit: the training, the point and the samples are done by hand."""
    problem, estimator = VAE(size=2, batch_size=2), ScoreFunction()
    out = trained(
        tmp_path / "run", "train", "--problem", problem, "--estimators", estimator,
        "--seeds", 2, "--seed", 5, "--steps", 4, "--keep-steps", 3, "--bound-samples", 2,
        "--evaluation-examples", 4, "--measure", estimator, "--measure-at", 3, "--samples", 64,
    )  # fmt: skip
    arguments = ["compare", "--at", out, "--step", 3, "--estimators", estimator, "--samples", 64]
    rows = numbers(trained(tmp_path / "out", *arguments))
    assert set(rows["step"]) == {3} and set(rows["seed"]) == {5}
    assert set(rows["problem"]) == {str(problem)} and set(rows["trained_with"]) == {"ScoreFunction"}

    data = problem.data()
    batch = Batch(Recipe(problem), [Run(5, 1e-3), Run(6, 1e-3)], [estimator] * 2, data)
    state, _ = batch.advance(batch.start(), 3)
    params, second = (
        jax.tree.map(lambda leaf, row=row: leaf[row], batch.gather(state.params)) for row in (0, 1)
    )
    found = estimax.load(out, 3, seed=6).params
    assert jax.tree.all(jax.tree.map(np.array_equal, found, second))
    keys = named_keys(5, "batch", "point", "measure")
    at = point.Instrument(problem, "encoder").point(
        params, problem.batch(keys["batch"], data), jax.random.split(keys["point"], 4)[3], 256
    )
    (blocks,) = at.draw(estimator, keys["measure"], 64)
    expected = pd.DataFrame(metric_rows(blocks, at.truth, 1, 100.0))
    pd.testing.assert_frame_equal(rows[expected.columns], expected, check_exact=True)

    # Training itself measures at the same parameters and minibatch.
    own = pd.read_parquet(out / FILE)
    (norm,) = own.loc[own["metric"] == "truth_norm", "value"]
    assert norm == expected.set_index("metric").loc["truth_norm", "value"]


def test_each_step_is_measured_as_alone(run, several, tmp_path):
    assert [*numbers(several)["step"].unique()] == [0, 40]
    assert {*numbers(several)["trained_with"]} == {"DisARM", "ScoreFunction[MovingAverage[0.9]]"}
    alone = ["--trained-with", "DisARM", "--step", 40]
    trained(tmp_path / "out", "compare", "--at", run, *alone, *MEASURE)
    expected = numbers(several, step=40, trained_with="DisARM")
    pd.testing.assert_frame_equal(numbers(tmp_path / "out"), expected, check_exact=True)
    assert numbers(several, metric="truth_norm")["value"].nunique() == 3  # they start alike


def test_several_steps_and_runs_are_one_table_and_one_figure(several):
    found = estimax.read(several)
    frame = found.table().frame
    assert len(frame) == 8 and frame["place"].nunique() == 4
    assert frame["seconds"].notna().all()
    assert estimax.diff(several, several).agree  # whose rows the run identifies, too
    assert found.figures == ("over_steps",) and {p.name for p in several.glob("*.pdf")} == {
        "over_steps.pdf"
    }
    points = pd.read_csv(several / "over_steps.csv")
    assert list(points["step"]) == [0, 0, 40, 40] * 2 and "mse_low" in points
    text = (several / "table.txt").read_text()
    assert text.count("trained with DisARM, step 40") >= 1
    ordered = found.table(sort="variance").frame
    for _, block in ordered.groupby("place"):
        assert block["variance"].is_monotonic_increasing


def test_the_last_checkpoint_is_the_default_and_seeds_are_averaged(run, tmp_path):
    arguments = ["--trained-with", "DisARM", "--seeds", 2, *MEASURE]
    out = trained(tmp_path / "out", "compare", "--at", run, *arguments)
    rows = numbers(out)
    assert set(rows["step"]) == {60} and set(rows["seed"]) == {0, 1}
    assert "2 seeds" in (out / "table.txt").read_text()
    second = trained(
        tmp_path / "second", "compare", "--at", run, "--trained-with", "DisARM", "--seed", 1,
        *MEASURE,
    )  # fmt: skip
    pd.testing.assert_frame_equal(numbers(out, seed=1), numbers(second), check_exact=True)


def test_the_identity_is_that_of_the_run_not_of_its_folder(run, several, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    # In Python, too; the results are those of the command, of whose folder they go on.
    again = estimax.compare(
        estimators=["ScoreFunction", "StraightThrough"], samples=64,
        at=tmp_path / "copy", step=[0, 40], output=several,
    )  # fmt: skip
    before = pd.read_parquet(several / FILE)
    pd.testing.assert_frame_equal(again.frame, before, check_exact=True)
    told = before.attrs["provenance"]["parameters"]
    assert f"{run}, DisARM, seed 0, step 40, code " in told


def test_a_measurement_that_ends_continues_with_the_missing_steps(
    run, several, tmp_path, monkeypatch
):
    add, added = Results.add, []

    def until(results, rows):
        added.append(rows)
        if len(added) == 4:
            raise KeyboardInterrupt
        add(results, rows)

    command = ["compare", "--at", str(run), "--step", "0", "40", *MEASURE]
    command += ["--output", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(Results, "add", until)
        assert main(command) == 130
    assert set(pd.read_parquet(tmp_path / "out" / FILE)["step"]) == {0, 40}
    assert main(command) == 0
    pd.testing.assert_frame_equal(numbers(tmp_path / "out"), numbers(several), check_exact=True)


@pytest.mark.slow
@pytest.mark.draws
def test_temperatures_at_several_steps(run, tmp_path):
    out = trained(
        tmp_path, "temperature", "--at", run, "--step", 0, 40, "--trained-with", "DisARM",
        "--estimators", "GumbelSoftmax", "DisARM", "--temperatures", 0.5, 1, "--samples", 64,
    )  # fmt: skip
    found = estimax.read(out)
    assert list(found.table().frame["place"]) == ["step 0"] * 3 + ["step 40"] * 3
    assert len(found.plot().axes) == 4  # variance above bias, at each step
    assert list(pd.read_csv(out / "temperature.csv")["place"].unique()) == ["step 0", "step 40"]


def test_any_parameters_that_orbax_saved(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(USER_FILE)
    logits = np.float32([0.3, -1.0])
    with ocp.CheckpointManager(tmp_path / "saved") as manager:
        for step in (1, 7):
            manager.save(step, args=ocp.args.StandardSave({"logits": step * logits}))
    problem = f"{tmp_path / 'mine.py'}:Cubic"
    arguments = ["compare", "--problem", problem, *MEASURE, "--at", tmp_path / "saved"]
    both = trained(tmp_path / "both", *arguments, "--step", 1, 7)
    last = trained(tmp_path / "last", *arguments)
    assert set(numbers(last)["step"]) == {7}
    pd.testing.assert_frame_equal(numbers(last), numbers(both, step=7), check_exact=True)
    capsys.readouterr()
    line = refused(capsys, *arguments, "--step", 2)
    assert "has no step 2; it has 1, 7" in line
    line = refused(capsys, "compare", "--problem", "Coupled[bits=3]", "--at", tmp_path / "saved")
    assert "does not fit Coupled" in line or "does not fit: logits is float32[2]" in line


def test_a_problem_of_the_users_own_is_named_again(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(USER_FILE)
    problem = f"{tmp_path / 'mine.py'}:Cubic"
    own = f"{tmp_path / 'mine.py'}:Scaled"
    arguments = ["--estimators", own, "--steps", 3]
    out = trained(tmp_path / "run", "train", "--problem", problem, *arguments)
    capsys.readouterr()
    line = refused(capsys, "compare", "--at", out, *MEASURE)
    assert "was trained on Cubic; name it as FILE.py:Cubic" in line
    rows = numbers(
        trained(tmp_path / "out", "compare", "--problem", problem, "--at", out, *MEASURE)
    )
    assert set(rows["step"]) == {3}
    with pytest.raises(estimax.UsageError, match="pass that estimator as trained_with"):
        estimax.load(out, problem=problem)


@pytest.mark.slow
def test_runs_that_differ_in_more_than_their_estimator_are_told_apart(run, tmp_path):
    rates = ["--learning-rates", 0.01, 0.1]
    other = trained(tmp_path / "other", *TRAIN[:-1], "--steps", 20, *rates)
    arguments = ["--trained-with", "DisARM", "--step", 20, *MEASURE]
    names = [
        *numbers(trained(tmp_path / "a", "compare", "--at", other, *arguments))["trained_with"]
    ]
    assert set(names) == {"DisARM, learning rate 0.01", "DisARM, learning rate 0.1"}
    with pytest.raises(estimax.UsageError, match="DisARM.*, 0.01; .*, 0.1"):
        estimax.load(other)
    assert estimax.load(other, learning_rate=0.1).step == 20
    # The same settings, but another length of training.
    again = trained(tmp_path / "again", *TRAIN, "--steps", 20)
    out = trained(tmp_path / "b", "compare", "--at", run, again, *arguments)
    assert numbers(out)["trained_with"].nunique() == 2
    norms = numbers(out, metric="truth_norm")["value"]
    assert norms.nunique() == 1  # of the same parameters


REFUSED = {
    ("--at", "nothing"): "no such folder: ",
    ("--at", "."): "has no checkpoint of a training run",
    ("--at", "run", "--step", "21"): "no checkpoint of step 21 of DisARM; it has 0, 20, 40, 60",
    ("--at", "run", "--seed", "2"): "was not trained with seed 2; choose from 0, 1",
    ("--at", "run", "--seeds", "3"): "was not trained with seed 2; choose from 0, 1",
    ("--at", "run", "--trained-with", "ARM"): "was not trained with ARM, but DisARM, ",
    ("--at", "run", "--problem", "Quadratic"): "was trained on Coupled[bits=3], not on Quadratic",
    ("--at", "run", "run"): "--at names a training run twice",
    ("--at", "run", "--group", "encoder"): "has no group 'encoder'",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_measured_is_refused(arguments, run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert REFUSED[arguments] in refused(capsys, "compare", *arguments, *MEASURE)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize("kind", ["cut", "changed", "link", "missing", "unsealed", "history"])
def test_a_damaged_checkpoint_is_refused(kind, run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "copy")
    batch = copy / OWN / "checkpoints" / "DisARM"
    largest = max((batch / "20").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    if kind == "link":
        largest.rename(tmp_path / "elsewhere")
        largest.symlink_to(tmp_path / "elsewhere")
    elif kind == "missing":
        largest.unlink()
    elif kind == "history":  # which alone would be as good as any
        file = batch / "20" / "history" / "metadata"
        file.write_bytes(file.read_bytes().replace(b"DisARM", b"ARM"))
    else:
        content = largest.read_bytes()
        largest.write_bytes(content[: len(content) // 2] + b"x" * (kind == "changed"))
    if kind == "unsealed":
        batch.with_name("DisARM.json").unlink()
    line = refused(capsys, "compare", "--at", copy, "--step", 20, *MEASURE)
    assert "holds a damaged checkpoint" in line
    # The other steps are whole.
    assert estimax.load(copy, 40, trained_with="DisARM").step == 40


def test_options_without_effect_are_said(run, tmp_path, capsys):
    arguments = ["--trained-with", "DisARM", *MEASURE, "--train-steps", 3]
    trained(tmp_path / "one", "compare", "--at", run, *arguments)
    assert "note: --train-steps: no effect with --at" in capsys.readouterr().err
    trained(tmp_path / "two", "compare", "--problem", "Coupled[bits=3]", "--step", 3, *MEASURE)
    assert "note: --step: no effect without --at" in capsys.readouterr().err
