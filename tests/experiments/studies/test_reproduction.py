"""Reproductions: the tables as they are declared, and how their cells are run."""

import csv
import dataclasses
import itertools
import math
import signal
from importlib import resources

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.tables.reproduction import VERDICTS, compared, known_answers
from analysis.tables.reproduction import predictions as judged
from estimators import GumbelSoftmax, MuProp, ScoreFunction, StraightThrough
from experiments.command_line import main
from experiments.data import DataError
from experiments.optimisers import SGD
from experiments.problems import EvaluatedProblem, SemiSupervised
from experiments.problems.toy import Coupled, Quadratic
from experiments.running.progress import Progress
from experiments.running.study import run as run_study
from experiments.studies.reproduction.measurement_experiment import MeasurementExperiment
from experiments.studies.reproduction.papers import TABLES, build
from experiments.studies.reproduction.published import known, published, unknown
from experiments.studies.reproduction.speed_experiment import SpeedExperiment
from experiments.studies.reproduction.study import ReproduceSettings, reproduction
from experiments.studies.reproduction.table import (
    SCALES,
    Cell,
    Prediction,
    Scale,
    Selection,
    Table,
    Target,
)
from experiments.studies.reproduction.training_experiment import TrainingExperiment, Variant
from experiments.system.errors import UsageError
from experiments.system.folder import OWN, Folder

pytestmark = pytest.mark.xdist_group("reproduction")

SCALE = Scale(
    steps=40,
    seeds=2,
    rates=(0.1, 0.3),
    selection=Selection(steps=20, images=None, bound_samples=1),
    draws=4096,
)


# The declarations.


def test_every_published_number_is_carried():
    with (resources.files("experiments.studies.reproduction") / "published.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 578
    assert all(math.isfinite(float(row["value"])) for row in rows)


def test_published_names_one_number():
    number = published("jang2017", "Table 1", latents="200 Bernoulli", estimator="Gumbel-Softmax")
    assert (number.value, number.units) == (105.0, "nats")
    assert "1611.01144" in number.source
    for estimator in ("DisARM", ""):
        with pytest.raises(LookupError, match="0 published numbers"):
            published("jang2017", "Table 1", latents="200 Bernoulli", estimator=estimator)
    with pytest.raises(LookupError, match="4 published numbers"):
        published("jang2017", "Table 1", estimator="SF")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_whole(name):
    table = build(name)
    assert table.name == name and set(table.scales) == set(SCALES)
    names = [cell.name for cell in table.cells]
    assert len(set(names)) == len(names)
    places = [(target.block, target.label) for cell in table.cells for target in cell.targets]
    assert len(set(places)) == len(places)
    for prediction in table.predictions:
        named = {(prediction.block, one) for one in (*prediction.better, *prediction.worse)}
        assert named <= set(places)
        assert not set(prediction.better) & set(prediction.worse)
    settings = [ReproduceSettings(table, scale).configuration() for scale in SCALES]
    assert len({str(one["spent"]) for one in settings}) == 3


def metrics(experiment):
    """Return the metrics that an experiment finds; the tests that run one compare."""
    if isinstance(experiment, MeasurementExperiment):
        return {"gradient", "value", "variance"}
    if isinstance(experiment, SpeedExperiment):
        return {"speed_ratio"}
    assert isinstance(experiment, TrainingExperiment)
    if not isinstance(experiment.problem, EvaluatedProblem):
        return {"exact_loss", "loss"}
    scores = {"accuracy"} if isinstance(experiment.problem, SemiSupervised) else set()
    return {"negative_elbo", "negative_bound"} | scores


def final_rows(cell):
    """Return the rows of a cell that has been run, as far as a table refers to them, uncomputed."""
    if isinstance(cell.experiment, str):
        return []
    splits = {target.split for target in cell.targets}
    same = {"stage": "final", "cell": cell.name, "seed": 0, "step": 1, "low": 0.0, "high": 2.0}
    found = itertools.product(metrics(cell.experiment), splits)
    return [same | {"metric": metric, "split": split, "value": 1.0} for metric, split in found]


def as_if_run(table):
    """Return the result table of a run of which every value is one."""
    shared = {"study": "reproduce", "table": table.name, "budget": "paper"}
    finals = [row for cell in table.cells for row in final_rows(cell)]
    return pd.DataFrame([shared | row for row in (*table.rows(), *finals)])


def check_names(table):
    """Every number of a table is found in what its cell measures, as is what candidates need."""
    rows = as_if_run(table)
    lines = compared(rows)
    refused = {cell.name for cell in table.cells if isinstance(cell.experiment, str)}
    assert set(lines.loc[lines["ours"].isna(), "cell"]) == refused
    verdicts = judged(rows, lines)["verdict"]
    assert len(verdicts) == len(table.predictions) and set(verdicts) <= set(VERDICTS)
    for cell in table.cells:
        assert {target.split for target in cell.targets} <= {"", "train", "validation", "test"}
        if isinstance(cell.experiment, TrainingExperiment) and len(cell.experiment.rates) > 1:
            has_images = isinstance(cell.experiment.problem, EvaluatedProblem)
            assert not has_images or cell.experiment.chosen_by in metrics(cell.experiment)


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_numbers_finds_every_name(name):
    """Without computation."""
    check_names(build(name))


@pytest.mark.parametrize(
    "wrong", [{"metric": "exact_los"}, {"split": "tests"}, {"metric": "negative_elbo"}], ids=str
)
def test_a_name_that_does_not_exist_is_found(wrong):
    cell = Cell("one", trained(ScoreFunction()), (target("SF"),))
    check_names(small(cell))
    broken = dataclasses.replace(target("SF"), **wrong)
    with pytest.raises(AssertionError):
        check_names(small(dataclasses.replace(cell, targets=(broken,))))


def test_sizes_of_the_tables():
    """As many numbers as the papers print."""
    counts = {name: sum(len(cell.targets) for cell in build(name).cells) for name in TABLES}
    assert counts["jang2017-table1"] == 2 * 28  # two readings
    assert counts["jang2017-table2"] == 6
    assert (counts["gu2016-table2"], counts["gu2016-table3"]) == (15, 25)
    assert (counts["maddison2017-table1"], counts["maddison2017-table2"]) == (96, 72)
    assert counts["maddison2017-figure4"] == 24
    assert (counts["yin2019-table2"], counts["paulus2021-table2"]) == (42, 56)
    assert (counts["grathwohl2018-table1"], counts["hooper2026-vae"]) == (20, 53)


@pytest.mark.first_cases(2)
@pytest.mark.parametrize(
    "name",
    [
        "jang2017-table1",
        "maddison2017-figure4",
        "gu2016-table2",
        "gu2016-table3",
        "maddison2017-table1",
        "maddison2017-table2",
        "yin2019-table2",
        "grathwohl2018-table1",
        "paulus2021-table2",
        "liu2023-vae",
        "liu2023-polynomial",
        "hooper2026-polynomial",
        "hooper2026-vae",
    ],
)
def test_every_estimator_fits_its_problem(name):
    import jax

    distributions = {}
    for cell in build(name).cells:
        if isinstance(cell.experiment, str) or "Omniglot" in cell.experiment.about_data:
            continue
        assert isinstance(cell.experiment, TrainingExperiment)
        for variant in cell.experiment.variants:
            problem = variant.problem or cell.experiment.problem
            problem.check()
            if problem not in distributions:
                key = jax.random.key(0)
                batch = problem.batch(key, problem.data())
                distributions[problem] = problem.distribution(problem.initial(key), batch)
            assert problem.refusal(variant.estimator, distributions[problem]) is None


# Running cells.


def target(label, metric="exact_loss", block="toy", **more):
    return Target(block, label, known(0.25, "", "a formula"), metric, "", **more)


def trained(*variants, problem=None, rates=(0.1, 0.3)):
    return TrainingExperiment(problem or Coupled(3), tuple(map(Variant, variants)), rates, SGD())


def small(*cells, predictions=()):
    return Table("small", "a small table", cells, dict.fromkeys(SCALES, SCALE), predictions)


def run(table, folder, cells=None, progress=None):
    study = reproduction(ReproduceSettings(table, "laptop"), cells or table.cells)
    results = study.open(Folder(folder))
    with progress or Progress(len(table.cells), silent=True) as shown:
        run_study(study, results, shown)
    return results


def final(results, cell):
    return [row for row in results.rows if row.get("cell") == cell and row["stage"] == "final"]


def test_the_better_candidate_is_trained(tmp_path):
    """Of two rates of which one does nothing, the other is chosen, at full length."""
    table = small(Cell("one", trained(ScoreFunction(), rates=(1e-6, 0.3)), (target("SF"),)))
    # A scale without rates takes the published ones.
    scale = Scale(steps=40, seeds=2, selection=Selection(400, None, 1))
    table = Table("small", "", table.cells, dict.fromkeys(SCALES, scale))
    results = run(table, tmp_path)
    rows = final(results, "one")
    assert {row["learning_rate"] for row in rows} == {0.3}
    assert metrics(table.cells[0].experiment) <= {row["metric"] for row in rows}
    assert {row["seed"] for row in rows} == {0, 1} and max(row["step"] for row in rows) == 40
    tried = [row for row in results.rows if row["stage"] == "tried"]
    assert [(row["learning_rate"], row["step"]) for row in tried] == [(1e-6, 400), (0.3, 400)]
    assert results.complete and not list((tmp_path / OWN / "unfinished").iterdir())


def test_without_a_selection_all_are_trained_in_full(tmp_path):
    scale = Scale(steps=40, seeds=2)
    cell = Cell("one", trained(ScoreFunction(), StraightThrough()), (target("SF"),))
    results = run(Table("small", "", (cell,), dict.fromkeys(SCALES, scale)), tmp_path)
    trained_rows = [row for row in results.rows if row.get("metric") == "loss"]
    ends = {
        (row["variant"], row["learning_rate"], row["seed"])
        for row in trained_rows
        if row["step"] == 40
    }
    assert len(ends) == 2 * 2 * 2
    chosen = {(row["variant"], row["learning_rate"]) for row in final(results, "one")}
    assert len(chosen) == 1
    losses = pd.DataFrame(trained_rows)
    losses = losses[losses["step"] == 40].groupby(["variant", "learning_rate"])["value"].mean()
    assert chosen == {losses.idxmin()}


def test_a_candidate_that_diverges_is_not_chosen(tmp_path):
    class Falling(Coupled):
        """Its loss falls without end, and is no number at a high rate."""

        def f(self, logits, sample):
            return super().f(logits, sample) - 1e30 * logits.sum() ** 3

    problem = Falling(3)
    cells = (
        Cell("both", trained(ScoreFunction(), problem=problem), (target("SF"),)),
        Cell("fine", trained(ScoreFunction()), (target("MuProp"),)),
    )
    results = run(small(*cells), tmp_path)
    assert not final(results, "both") and final(results, "fine")
    lines = analysis.reproduction_table(results.table()).frame
    assert lines["note"].tolist() == ["every candidate diverged", ""]
    assert np.isnan(lines["ours"][0]) and np.isfinite(lines["ours"][1])


class Interrupted(Progress):
    """Interrupts once so much of the work is done."""

    def __init__(self, after):
        super().__init__(1, silent=True)
        self.left = after

    def note(self, message):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
        super().note(message)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("after", [25, 3, 60])
def test_an_interrupted_cell_goes_on_to_the_same_numbers(tmp_path, after):
    def table():
        return small(
            Cell("one", trained(ScoreFunction()), (target("SF"),)),
            Cell("two", trained(StraightThrough()), (target("ST"),)),
        )

    whole = run(table(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(table(), tmp_path / "killed", progress=Interrupted(after))
    killed = run(table(), tmp_path / "killed")

    def numbers(results):
        rows = results.table()
        rows = rows[rows["metric"] != "steps_per_second"]
        return rows.drop(columns=["variant", "training_seconds"]).reset_index(drop=True)

    pd.testing.assert_frame_equal(
        numbers(killed), numbers(whole), check_dtype=False, check_like=True, check_exact=True
    )


def test_a_cell_that_is_there_is_not_run_again(tmp_path, monkeypatch):
    cell = Cell("one", trained(ScoreFunction()), (target("SF"),))
    other = Cell("two", trained(StraightThrough()), (target("ST"),))
    table = small(cell, other)
    first = run(table, tmp_path, [cell])
    assert not first.complete

    def refuse(self, *arguments):
        assert "ScoreFunction" not in str(self.variants[0])
        return real(self, *arguments)

    real = TrainingExperiment.run
    monkeypatch.setattr(TrainingExperiment, "run", refuse)
    assert run(table, tmp_path).complete


def test_missing_data_are_said_once_and_asked_for_again(tmp_path, monkeypatch):
    asked = []

    def missing(self, *_):
        asked.append(self)
        raise DataError("Omniglot is not here")

    table = small(
        Cell("one", trained(ScoreFunction()), (target("SF"),)),
        Cell("two", trained(StraightThrough()), (target("ST"),)),
        Cell("three", "it cannot be run", (target("none"),)),
    )
    with monkeypatch.context() as patch:
        patch.setattr(TrainingExperiment, "run", missing)
        for _ in range(2):
            results = run(table, tmp_path)
        assert len(asked) == 2 and not results.complete
        lines = analysis.reproduction_table(results.table()).frame
        reasons = ["Omniglot is not here"] * 2 + ["it cannot be run"]
        assert lines["note"].tolist() == reasons
    results = run(table, tmp_path)
    assert results.complete
    lines = analysis.reproduction_table(results.table()).frame
    assert lines["note"].tolist() == ["", "", "it cannot be run"]


def test_measured_cells_find_known_answers(tmp_path):
    s, t = 1 / (1 + math.exp(-1.0)), 0.45
    slope = known((1 - 2 * t) * s * (1 - s), "", "")
    wrong = known(slope.value + 0.05, "", "")
    variance = known(0.0, "", "")
    toy = Quadratic(t, 1.0)

    def cell(name, estimator, number, metric):
        place = Target("toy", name, number, metric, "", is_known=True)
        return Cell(name, MeasurementExperiment(toy, estimator), (place,))

    table = small(
        cell("right", MuProp(), slope, "gradient"),
        cell("wrong", MuProp(), wrong, "gradient"),
        cell("biased", GumbelSoftmax(1.0), slope, "gradient"),
        cell("random", MuProp(), variance, "variance"),
    )
    results = run(table, tmp_path)
    found = {row["metric"] for row in results.rows if row["stage"] == "final"}
    assert found == metrics(table.cells[0].experiment)
    lines = compared(results.table())
    assert known_answers(lines) == (1, 4)
    assert abs(lines["difference"][0]) < 4 * (lines["ours_high"] - lines["ours"])[0] / 1.96


@pytest.mark.slow
def test_known_answers_of_the_toys_are_found(tmp_path):
    """All of them, at the smallest budget."""
    table = build("toys")
    study = reproduction(ReproduceSettings(table, "smoke"), table.cells)
    results = study.open(Folder(tmp_path))
    with Progress(1, silent=True) as progress:
        run_study(study, results, progress)
    lines = compared(results.table())
    assert known_answers(lines) == (len(lines), len(lines))
    assert len(lines) > 90


def test_predictions_are_judged(tmp_path):
    predictions = (
        Prediction("ST is the lower one", "toy", ("ST",), ("SF",)),
        Prediction("one is not there", "toy", ("ST",), ("none",)),
    )
    table = small(
        Cell("one", trained(ScoreFunction()), (target("SF"),)),
        Cell("two", trained(StraightThrough()), (target("ST"),)),
        Cell("three", "never", (target("none"),)),
        predictions=predictions,
    )
    rows = run(table, tmp_path).table()
    verdicts = judged(rows, compared(rows))["verdict"].tolist()
    assert verdicts[0] in ("held", "broke", "undecided") and verdicts[1] == "not run"


# The command.


def test_smoke_budget_from_the_command_line(tmp_path, capsys):
    command = ["reproduce", "jang2017-table1", "--budget", "smoke", "--device", "cpu"]
    chosen = ["--cells", "SBN, Bernoulli, ST", "--output", str(tmp_path)]
    assert main([*command, *chosen]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "run not complete" in shown and "not the published static file" in shown
    assert "58.9" in shown and "Predictions made before the run" in shown
    assert {path.name for path in tmp_path.iterdir()} == {
        *(OWN, "results.parquet"),
        *(f"table.{ending}" for ending in ("txt", "md", "csv", "tex")),
        *(f"reproduction.{ending}" for ending in ("pdf", "png", "csv")),
    }
    rows = pd.read_parquet(tmp_path / "results.parquet")
    for cell in build("jang2017-table1").cells:
        if cell.name in set(rows.loc[rows["stage"] == "final", "cell"]):
            own = rows[(rows["cell"] == cell.name) & (rows["split"] == "test")]
            assert set(own.loc[own["stage"] == "final", "metric"]) == metrics(cell.experiment)
    table = pd.read_csv(tmp_path / "table.csv")
    ours = table[table["ours"].notna()]
    assert set(ours["label"]) == {"ST", "ST Gumbel-Softmax"}
    assert np.allclose(ours["difference"], ours["ours"] - ours["published"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jang2017-table9"], "(did you mean 'jang2017-table2'?); choose from "),
        (
            ["toys", "--budget", "weekend"],
            "unknown value 'weekend'; choose from smoke, laptop, paper",
        ),
        (["toys", "--cells", "four bits"], "no cell of toys has 'four bits' in its name"),
        (["toys", "--cells", ""], "--cells: must not be empty"),
        (["toys", "--binarisation", "real"], "unknown value 'real'; choose from fixed, published"),
        (["jang2017-table1", "--seed", "4294967295"], "--seed must be at most 42949672"),
        ([], "name the table: estimax reproduce --list shows all"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    output = tmp_path / "results"
    try:
        status = main(["reproduce", *arguments, "--output", str(output), "--device", "cpu"])
    except SystemExit as exit:
        status = exit.code
    said = capsys.readouterr().err.strip()
    assert status == 2 and message in said and "\n" not in said and not output.exists()


def test_cells_are_listed(capsys):
    assert main(["reproduce", "toys", "--list", "--cells", "Three bits, all"]) == 0
    assert capsys.readouterr().out.split("\n") == [
        "Three bits, all ones",
        "Three bits, all zeros",
        "",
    ]


def test_unknown_numbers_are_dashes():
    assert math.isnan(unknown("a program", "nats").value)
    table = analysis.reproduction_table(as_if_run(build("jang2017-figure5a")))
    assert table.frame["published"].notna().sum() == 2
    assert not any("Kendall" in title for title in table.sections)  # two have no order
    with pytest.raises(UsageError):
        build("nothing")
