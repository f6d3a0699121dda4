"""The reproduction of Hooper and Shekhovtsov 2026: sizes, what is chosen and on what, its table."""

import dataclasses
import signal

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.figures import reproduction as figure
from analysis.tables.reproduction import compared, predictions
from estimators import MVE, StraightThrough
from experiments.command_line import main
from experiments.optimisers import AdamW
from experiments.problems import VAE
from experiments.problems.toy import Coupled
from experiments.running.progress import Progress
from experiments.running.study import run as run_study
from experiments.studies.reproduction.papers import build
from experiments.studies.reproduction.published import known
from experiments.studies.reproduction.study import ReproduceSettings, reproduction
from experiments.studies.reproduction.table import SCALES, Cell, Scale, Table, Target
from experiments.studies.reproduction.training_experiment import TrainingExperiment, Variant
from experiments.system.folder import OWN, Folder
from experiments.training.schedules import Geometric, WarmupCosine

pytestmark = pytest.mark.xdist_group("reproduction")

NAME = "hooper2026-vae"


def experiments(scale):
    """Return the experiments of a scale by cell."""
    found = {cell.name: cell.experiment for cell in build(NAME).at(scale).cells}
    assert all(isinstance(one, TrainingExperiment) for one in found.values())
    return found


# The declaration.


def test_cells_are_the_published_ones():
    cells = build(NAME).at("paper").cells
    grids = dict.fromkeys(cell.targets[0].block for cell in cells)
    integers = [f"128 x {classes}, integer" for classes in (4, 16, 64, 256, 1024)]
    assert list(grids) == ["128 x 4, one-hot", "32 x 16, one-hot", "8 x 64, one-hot", *integers]
    found = {cell.name: cell.targets[0].published.value for cell in cells}
    # Of the table in the notes on the set-up.
    assert found["32 x 16, one-hot, ReinMax 1.2"] == 93.50
    assert found["8 x 64, one-hot, ZGR"] == 98.29
    assert found["128 x 4, one-hot, Gumbel-Rao, tau 1 to 0.1"] == 96.31
    assert found["128 x 16, integer, MVE_int, T = 1e6"] == 93.12
    assert found["128 x 1024, integer, MVE_int, T 1 to 1e6"] == 93.23
    assert found["128 x 256, integer, ST"] == 113.80
    assert all(cell.targets[0].split == "train" for cell in cells)


def test_training_is_as_published():
    for name, one in experiments("paper").items():
        problem = one.problem
        assert (problem.hidden, problem.activation) == ("512-256", "leaky_relu_0.2")
        assert (problem.prior, problem.kl, problem.binarisation) == ("uniform", "analytic", "real")
        assert (problem.batch_size, problem.held_out, problem.centred) == (200, False, False)
        assert problem.coding == ("number" if "integer" in name else "one-hot")
        assert one.optimiser == AdamW(weight_decay=0.01)
        np.testing.assert_allclose(one.rates, np.geomspace(1e-4, 1e-2, 5), rtol=1e-5)
        (variant,) = one.variants
        schedules = dict(variant.schedules)
        assert schedules.pop("learning_rate") == WarmupCosine(every=300)
        expected = {}
        if "Gumbel-Rao" in name:
            expected = {"temperature": Geometric(1.0, 0.1, every=300)}
        elif "T 1 to 1e6" in name:
            expected = {"penalty": Geometric(1.0, 1e6, every=300)}
        assert schedules == expected
        if isinstance(variant.estimator, MVE):
            assert variant.estimator.integer == ("integer" in name)
            assert float(variant.estimator.penalty) == (1 if expected else 1e6)
    size = ReproduceSettings(build(NAME).at("paper"), "paper").size
    assert (size.steps, size.seeds, size.bound_samples, size.images) == (150_000, 5, 1, None)
    assert size.rates is None and size.selection is None


@pytest.mark.parametrize(
    ("scale", "hidden", "grid", "steps", "rates"),
    [("smoke", "128", (8, 4), 300, (1e-3,)), ("laptop", "256", (32, 16), 3000, (1e-3, 3e-3))],
)
def test_smaller_networks_of_small_budgets(scale, hidden, grid, steps, rates):
    found = experiments(scale)
    assert len(found) == 6
    for one in found.values():
        assert (one.problem.hidden, one.problem.size, one.problem.classes) == (hidden, *grid)
    settings = ReproduceSettings(build(NAME).at(scale), scale)
    assert (settings.size.steps, settings.size.seeds, settings.size.rates) == (steps, 1, rates)
    assert settings.configuration()["is_comparable"] is False
    assert "is_comparable" not in ReproduceSettings(build(NAME), "paper").configuration()


def test_a_table_without_smaller_ones_is_the_same_at_every_scale():
    table = build("jang2017-table2")
    assert all(table.at(scale) is table for scale in SCALES)


def test_predictions_are_the_published_order():
    """Those of a first place that the published standard deviations leave open are not made."""
    table = build(NAME)
    values = {(one.block, one.label): one.published.value for one in targets(table)}
    for prediction in table.predictions:
        better = [values[prediction.block, label] for label in prediction.better]
        worse = [values[prediction.block, label] for label in prediction.worse]
        assert max(better) < min(worse), prediction.statement
    blocks = {block for block, _ in values}
    assert {one.block for one in table.predictions if one.worse == ("ST",)} == blocks
    assert len(table.predictions) == 8 + 2 + 2 + 4 * 4


def targets(table):
    return [target for cell in table.cells for target in cell.targets]


# Its table and figure.


def as_if_run(scale):
    """Return the result table of a run of which every value is 120."""
    settings = ReproduceSettings(build(NAME).at(scale), scale)
    shared = {"study": "reproduce", "table": NAME, "budget": scale, "split": "train", "step": 9}
    rows = [shared | row for row in settings.table.rows()]
    for cell in settings.cells:
        own = shared | {"cell": cell.name, "learning_rate": 0.001}
        ends = {"seed": 0, "value": 120.0, "low": 119.0, "high": 121.0, "bound_samples": 1}
        rows += [own | {"stage": "tried"}] * 2
        rows += [own | ends | {"stage": "final", "metric": "negative_elbo"}]
    found = pd.DataFrame(rows)
    found.attrs["configuration"] = settings.configuration()
    return found


@pytest.mark.parametrize("scale", SCALES)
def test_a_difference_is_printed_of_the_published_network_only(scale):
    rows = as_if_run(scale)
    table = analysis.reproduction_table(rows)
    lines = compared(rows)
    titles = [column.title for column in table.columns]
    assert ("difference" in titles) == (scale == "paper") == lines["difference"].notna().all()
    assert any("no difference is printed" in note for note in table.notes) == (scale != "paper")
    assert lines["ours"].notna().all()
    assert lines["published"].notna().all() == (scale != "smoke")
    assert any("compared on training images" in note for note in table.notes)
    assert "bounds of 1 sample" in table.heading and "1 samples" not in table.heading
    verdicts = predictions(rows, lines)["verdict"]
    assert len(verdicts) == len(build(NAME).at(scale).predictions)
    text = analysis.to_text(table, 80)
    assert "nan" not in text and max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
def test_the_figure_needs_no_published_number(scale):
    drawn = figure.draw(as_if_run(scale))
    low, high = drawn.axes[0].get_xlim()
    assert low < 120 < high


# Running.


def cell(problem, estimator, schedules=(), rates=(1e-3, 0.1), **more):
    variant = Variant(estimator, schedules)
    trained = TrainingExperiment(problem, (variant,), rates, AdamW(), **more)
    number = known(0.0, "nats", "a formula")
    metric, split = (
        ("exact_loss", "") if isinstance(problem, Coupled) else ("negative_elbo", "train")
    )
    return Cell("one", trained, (Target("toy", "one", number, metric, split),))


def run(one, scale, folder, progress=None):
    table = Table("small", "a small table", (one,), dict.fromkeys(SCALES, scale))
    study = reproduction(ReproduceSettings(table, "laptop"), table.cells)
    results = study.open(Folder(folder))
    with progress or Progress(1, silent=True) as shown:
        run_study(study, results, shown)
    return results.table()


class Reversed(VAE):
    """Its bound is the better the higher the loss."""

    def log_weight(self, params, key, example):
        return -super().log_weight(params, key, example)


def test_the_rate_is_chosen_on_training_images(tmp_path):
    """At what is reported: of two rates, the one whose final training bound is lower."""
    problem = Reversed("Categorical", 2, 3, binarisation="real", batch_size=4, held_out=False)
    scale = Scale(steps=20, images=32, bound_samples=1)
    one = cell(problem, StraightThrough(), chosen_by="negative_elbo", chosen_on="train")
    rows = run(one, scale, tmp_path)
    bounds = rows[rows["metric"] == "negative_elbo"].iloc[1:]
    assert set(bounds["split"]) == {"train"}
    least = bounds.loc[bounds["value"].idxmin()]
    assert len(bounds) == 2 and least["stage"] == "final"
    assert set(rows.loc[rows["stage"] == "tried", "split"]) == {"train"}
    configured = one.experiment.configuration()
    assert configured["chosen_on"] == "train"
    other = dataclasses.replace(one.experiment, chosen_on="validation")
    assert "chosen_on" not in other.configuration()


class Interrupted(Progress):
    """Interrupts at its fourth note."""

    def __init__(self):
        super().__init__(1, silent=True)
        self.left = 4

    def note(self, message):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
        super().note(message)


def test_schedules_go_on_where_a_run_was_interrupted(tmp_path):
    schedules = (
        ("learning_rate", WarmupCosine(every=3)),
        ("penalty", Geometric(1.0, 1e6, every=3)),
    )
    one = cell(Coupled(3), MVE(1.0), schedules)
    scale = Scale(steps=40, seeds=2)
    whole = run(one, scale, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(one, scale, tmp_path / "killed", Interrupted())
    killed = run(one, scale, tmp_path / "killed")
    same = whole["metric"] != "steps_per_second"
    assert same.sum() > 20
    pd.testing.assert_series_equal(killed["value"][same], whole["value"][same], check_exact=True)


# The command.


def test_a_budget_is_changed_from_the_command_line(tmp_path, capsys):
    command = ["reproduce", NAME, "--budget", "smoke", "--device", "cpu", "--cells", "ST"]
    size = ["--steps", "7", "--seeds", "2", "--learning-rates", "1e-3", "2e-3"]
    assert main([*command, *size, "--output", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "7 steps, 2 seeds" in said and "2 x 7" in said and "run not complete" in said
    assert (tmp_path / OWN).is_dir() and (tmp_path / "reproduction.pdf").is_file()
    rows = pd.read_parquet(tmp_path / "results.parquet")
    bounds = rows[(rows["metric"] == "negative_elbo") & (rows["step"] == 7)]
    assert bounds.groupby(["learning_rate", "seed"]).size().tolist() == [1] * 4
    assert bounds["value"].between(100, 600).all()


def test_cells_depend_on_the_budget(capsys):
    for scale, count in (("smoke", 6), ("laptop", 6), ("paper", 53)):
        assert main(["reproduce", NAME, "--list", "--budget", scale]) == 0
        assert len(capsys.readouterr().out.splitlines()) == count
