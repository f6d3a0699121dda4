"""A page of training runs against another unit: its table, and figures drawn for it."""

import base64

import pytest

from experiments.command_line import main
from tests.experiments.helpers.command import SMALL, refused


@pytest.mark.draws
def test_tables_and_figures_are_against_the_unit_that_is_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two = ["--estimators", "ScoreFunction", "DisARM", "--seeds", "2", "--steps", "8"]
    assert main(["train", "--problem", "Quadratic", *two, "--output", "results/train"]) == 0
    assert main(["compare", *SMALL, *two[:2], "--output", "results/compare"]) == 0
    figures = {
        path.name: base64.b64encode(path.read_bytes()).decode()
        for path in tmp_path.glob("results/*/*.png")
    }
    of_training = {"training.png", "rank.png"}
    assert of_training <= figures.keys() and len(figures) > 2
    pages = {}
    for unit in "steps", "evaluations":
        assert main(["report", "--against", unit, "--output", f"{unit}.html"]) == 0
        pages[unit] = (tmp_path / f"{unit}.html").read_text()
    assert "left out" not in capsys.readouterr().err
    assert all(one in pages["steps"] for one in figures.values())
    assert "compared at" not in pages["steps"]
    kept = {name for name, one in figures.items() if one in pages["evaluations"]}
    assert kept == figures.keys() - of_training
    assert "compared at 8 evaluations of f" in pages["evaluations"]
    for words in "Training curves", "Rank over training":
        assert f"<figcaption>{words}" in pages["evaluations"]
    line = refused(capsys, "report", "results/compare", "--against", "seconds")
    assert "it has no training runs to compare against seconds" in line
