"""Options of how figures are drawn, which change no number and compute nothing."""

import re

import pandas as pd
import pytest

from experiments.command_line import main, output
from tests.experiments.helpers.command import SMALL, contents, refused

DRAWN = ("width", "only", "format", "no-title")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished comparison: its folder and the command that made it."""
    out = tmp_path_factory.mktemp("drawing") / "out"
    command = ["compare", *SMALL[:2], "--samples", "512", "--output", str(out)]
    command += ["--estimators", "DisARM", "GumbelSoftmax[0.5]", "ReinMax"]
    assert main(command) == 0
    return out, command


@pytest.fixture
def nothing_runs(monkeypatch):
    def fails(*_):
        raise AssertionError("a finished run was computed again")

    monkeypatch.setattr(output, "run", fails)


def width(path):
    """The width of a figure in inches, from its PDF file."""
    box = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+) ", path.with_suffix(".pdf").read_bytes())
    assert box
    return float(box[1]) / 72


@pytest.mark.draws
def test_a_finished_run_is_drawn_again_without_computing(finished, nothing_runs):
    out, command = finished
    before = contents(out)
    names = ("bias_variance", "error_cost")
    assert {f"{name}.{kind}" for name in names for kind in ("pdf", "png", "csv")} <= before.keys()
    assert width(out / "bias_variance") == 5.5

    assert main([*command, "--width", "column", "--only", "DisARM", "ReinMax", "--no-title"]) == 0
    after = contents(out)
    assert after["results.parquet"] == before["results.parquet"]
    assert after["table.csv"] == before["table.csv"]
    for name in names:
        assert width(out / name) == 3.25
        assert after[f"{name}.pdf"] != before[f"{name}.pdf"]
        shown = pd.read_csv(out / f"{name}.csv")["estimator"]
        assert set(shown) == {"DisARM", "ReinMax"}

    assert main([*command, "--format", "svg", "pdf", "--width", "4.5"]) == 0
    assert (out / "error_cost.svg").read_text().startswith("<?xml")
    assert width(out / "error_cost") == 4.5
    assert main(command) == 0
    again = contents(out)
    assert {name: again[name] for name in before} == before  # to the byte


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1000", "wide", "1e400"])
def test_a_width_that_is_none_is_one_line(text, capsys, tmp_path):
    out = tmp_path / "out"
    line = refused(capsys, "compare", *SMALL, "--width", text, "--output", out)
    assert "--width" in line and "column, text or from 2 to 20 inches" in line and text in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--format", "jpg"], ["--format", "'jpg'", "pdf, png, svg"]),
        (["--only", "DisARN"], ["--only", "'DisARN'", "did you mean 'DisARM'?"]),
        (["--only", ""], ["--only", "must not be empty"]),
        (["--only", "REBAR[0.5]"], ["none of the estimators is called 'REBAR[0.5]'"]),
    ],
)
def test_what_cannot_be_drawn_is_said_before_it_is_measured(options, says, capsys, tmp_path):
    out = tmp_path / "out"
    line = refused(
        capsys, "compare", *SMALL, "--estimators", "DisARM", "ReinMax", *options, "--output", out
    )
    assert all(words in line for words in says)
    assert not out.exists()


def test_another_variant_of_a_measured_class_is_said(finished, nothing_runs, capsys):
    _, command = finished
    assert main([*command, "--only", "GumbelSoftmax[0.7]"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "GumbelSoftmax[0.7]" in line and "GumbelSoftmax[0.5]" in line


@pytest.mark.parametrize("command", ["compare", "temperature", "train", "diagnose", "reproduce",
                                     "figure", "atlas"])  # fmt: skip
def test_every_command_that_draws_has_the_options(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in DRAWN)


@pytest.mark.draws
def test_a_figure_of_the_papers(tmp_path, capsys):
    out = tmp_path / "out"
    figure = ["figure", "variance-by-evaluations", "--budget", "smoke", "--output", str(out)]
    assert main([*figure, "--format", "pdf"]) == 0
    assert (out / "variance-by-evaluations.pdf").exists()
    assert not (out / "variance-by-evaluations.png").exists()
    assert main([*figure, "--only", "with replacement", "--width", "3"]) == 0
    assert width(out / "variance-by-evaluations") == 3
    shown = pd.read_csv(out / "variance-by-evaluations.csv")["name"]
    assert set(shown) == {"with replacement"}
    capsys.readouterr()
    assert main([*figure, "--only", "Nobody"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "--only" in line and "Nobody" in line and "with replacement" in line
