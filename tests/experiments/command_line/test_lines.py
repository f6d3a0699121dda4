"""The lines of training runs, printed as they finish."""

import pytest

from estimators import DisARM, GumbelSoftmax
from experiments.command_line import main
from experiments.command_line.lines import of_study
from experiments.problems import VAE, Quadratic
from experiments.studies.training.history import History
from experiments.studies.training.settings import TrainSettings
from experiments.studies.training.study import training

VALUES = {
    ("loss", "train"): 232.5,
    ("negative_bound", "test"): 216.66,
    ("negative_elbo", "test"): 221.2,
    ("negative_bound", "validation"): 215.25,
}


def settings(**changes):
    return TrainSettings(VAE(), [DisARM(), GumbelSoftmax(0.5)], **changes)


def rows_of(chosen, estimator, diverged=()):
    """Return the rows of the runs of an estimator, of which some diverged at step 3."""
    members, runs = zip(*chosen.runs(estimator), strict=True)
    history = History(chosen, members, runs, [1] * len(members))
    for run in range(len(runs)):
        if run in diverged:
            history.lose(run, 3, "the loss of step 3 is nan")
            continue
        for (metric, split), value in VALUES.items():
            history.add(run, 100, metric, value + run, split=split)
        history.add(run, 100, "variance", 7.0, measured="DisARM")
    return history.rows


@pytest.mark.parametrize("width", [60, 80, 100, 200, None])
def test_every_run_has_a_line_that_names_it(width):
    chosen = settings(seeds=2, learning_rates=(0.01, 0.1))
    rows = rows_of(chosen, chosen.estimators[1], diverged=[2])
    title, of = of_study(training(chosen))
    lines = [title(rows, width), *of(rows, width)]
    assert width is None or max(map(len, lines)) <= width
    names = [f", rate {rate}, seed {seed}" for rate in ("0.01", "0.1") for seed in (0, 1)]
    for name, line in zip(names, lines[1:], strict=True):
        assert line.startswith("Gumbel") and name in line
    assert "diverged: the loss of step 3 is nan" in lines[3] or width == 60
    # Below their titles: the training loss, and the bounds.
    short = width is not None and width < 100
    places = [lines[0].index(one) for one in (("loss", "test", "val.") if short else TITLES)]
    for run in (0, 1, 3):
        cells = [line.split()[0] for line in (lines[1 + run][place:] for place in places)]
        assert list(map(float, cells)) == pytest.approx(
            [232.5 + run, 216.7 + run, 215.2 + run], abs=0.1
        )


TITLES = ("training loss", "negative test bound", "negative val. bound")


def test_a_single_run_is_named_by_its_estimator():
    chosen = settings()
    (line,) = of_study(training(chosen)).of(rows_of(chosen, chosen.estimators[0]), None)
    assert line.split()[0] == "DisARM" and "seed" not in line and "rate" not in line


def test_the_columns_do_not_depend_on_who_diverged():
    chosen = settings(seeds=2)
    lines = of_study(training(chosen))
    rows = rows_of(chosen, chosen.estimators[0], diverged=[0, 1])
    assert [line.split()[-6:] for line in lines.of(rows, 80)] == [
        ["loss", "of", "step", "3", "is", "nan"]
    ] * 2


def test_the_command_names_runs_in_its_lines(capsys, tmp_path):
    command = ["train", "--problem", str(Quadratic()), "--steps", "4", "--seeds", "2"]
    command += ["--estimators", "DisARM", "StraightThrough", "--output", str(tmp_path / "out")]
    assert main(command) == 0
    title, *lines = capsys.readouterr().err.splitlines()
    assert title.split() == ["estimator", "training", "loss", "exact", "loss"]
    starts = [" ".join(line.split()[:3]) for line in lines]
    assert starts[0] == "[1/2] DisARM" and starts[3] == "[2/2] StraightThrough"
    assert starts[1:3] == [f"DisARM, seed {seed}" for seed in (0, 1)]
    assert starts[4:] == [f"StraightThrough, seed {seed}" for seed in (0, 1)]


def test_names_of_runs():
    chosen = settings(seeds=2, learning_rates=(0.01,), temperatures=(0.5, 1.0))
    assert chosen.run_names(chosen.estimators[1]) == [
        f"GumbelSoftmax[{temperature}], seed {seed}"
        for temperature in (0.5, 1.0)
        for seed in (0, 1)
    ]
    assert settings().run_names(DisARM()) == [""]
