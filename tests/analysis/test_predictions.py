"""Predictions of a figure: verdicts, rows, and the command that decides them."""

import math

import pandas as pd
import pytest

import analysis
from analysis.rows import predictions, without_predictions
from analysis.studies import readable
from analysis.tables.claims import region
from experiments.command_line import main
from experiments.statistics import Estimate
from experiments.studies import figures
from experiments.studies.figures.predictions import TASK, Prediction
from experiments.studies.figures.study import figure_study


def rows_of(*found):
    made = [Prediction("a is large", "us", lambda rows, one=one: one, 1.0).row([]) for one in found]
    shared = {"study": "figure", "figure": "f", "task": TASK}
    table = pd.DataFrame([shared | row for row in made])
    table.attrs = {"configuration": {"study": "figure", "figure": "f"}, "complete": True}
    return table


def test_a_prediction_is_judged_by_its_interval():
    rows = rows_of(
        Estimate(2.0, 1.5, 2.5),
        Estimate(0.5, 0.2, 0.8),
        Estimate(1.1, 0.9, 1.3),
        Estimate(math.nan, math.nan, math.nan, "no such row"),
        Estimate(2.0, math.nan, math.nan),
        Estimate.student(2.0),
    )
    table = readable(rows)
    verdicts = ["held", "broke", "undecided", "undecided", "undecided", "held"]
    assert list(table.frame["verdict"]) == verdicts
    assert "a is large (us)" in analysis.to_text(table, 80)
    assert "above 1" in analysis.to_text(table, 80)


def test_a_figure_without_predictions_has_no_table():
    rows = rows_of(Estimate(2.0, 1.5, 2.5))
    assert len(predictions(rows)) == 1 and without_predictions(rows).empty
    with pytest.raises(ValueError, match="without predictions"):
        readable(without_predictions(rows))


def sampled(advance):
    return [{"metric": "variance", "value": 3.0, "low": 2.0, "high": 4.0}]


def study(scale):
    def of(rows):
        (row,) = [row for row in rows if row["metric"] == "variance"]
        return Estimate(row["value"], row["low"], row["high"])

    return figure_study(
        "predicted",
        "A figure with predictions",
        "toy_curves",
        {},
        {"sampled": sampled},
        (Prediction("the variance is below 5", "us", of, high=5.0),),
    )


def test_predictions_are_decided_last_and_are_part_of_the_identity(tmp_path, monkeypatch, capsys):
    figure = study("smoke")
    assert list(figure.study.parts) == ["sampled", TASK]
    assert figure.study.configuration["predictions"] == ["the variance is below 5 (us)"]
    monkeypatch.setitem(figures.FIGURES, "predicted", "predicted")
    monkeypatch.setattr("experiments.command_line.figure.build", lambda *given: figure)
    monkeypatch.setattr("analysis.figures.named", lambda name: Drawn)
    assert main(["figure", "predicted", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "the variance is below 5 (us)" in printed and "held" in printed
    assert (tmp_path / "out" / "table.csv").exists()


class Drawn:
    """Draws nothing."""

    @staticmethod
    def data(rows):
        return without_predictions(rows)

    @staticmethod
    def draw(rows, page):
        from matplotlib.figure import Figure

        return Figure()


@pytest.mark.parametrize(
    "ends, said",
    [((-0.05, 0.05), "-0.05 to 0.05"), ((0.2499, 0.2501), "0.2499 to 0.2501"),
     ((0.9, float("inf")), "above 0.9"), ((float("-inf"), 0.0), "below 0")],
)  # fmt: skip
def test_the_ends_of_a_region_are_told_apart(ends, said):
    assert region(*ends) == said
