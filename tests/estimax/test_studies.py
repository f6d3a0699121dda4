"""The Python functions run the studies of the commands: the same numbers, to the bit."""

import subprocess
import sys

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

import estimax
from experiments import problems
from experiments.command_line import main

TIMED = ["seconds", "plain_seconds", "steps_per_second"]


def of_command(folder, *arguments):
    assert main([*map(str, arguments), "--output", str(folder)]) == 0
    return pd.read_parquet(folder / "results.parquet")


def assert_same(found, expected):
    """All but times, which are measured."""
    kept = [
        rows[~rows["metric"].isin(TIMED)]
        .drop(columns="training_seconds", errors="ignore")
        .reset_index(drop=True)
        for rows in (found, expected)
    ]
    pd.testing.assert_frame_equal(*kept, check_exact=True)
    for name in ("identity", "configuration", "environment", "complete"):
        assert found.attrs[name] == expected.attrs[name]


def test_compare(tmp_path, capsys):
    expected = of_command(
        tmp_path / "out", "compare", "--problem", "Quadratic", "--samples", 1024,
        "--estimators", "GumbelSoftmax[0.5]", "DisARM", "ScoreFunction[LeaveOneOut[4]]",
    )  # fmt: skip
    capsys.readouterr()
    chosen = [
        estimax.GumbelSoftmax(0.5),
        "DisARM",
        estimax.ScoreFunction(estimax.LeaveOneOut(4)),
    ]
    found = estimax.compare(problems.Quadratic(), chosen, samples=1024)
    assert_same(found.frame, expected)
    assert capsys.readouterr().out == ""
    text, html = repr(found), found._repr_html_()
    for name in ("GumbelSoftmax", "DisARM", "LeaveOneOut"):
        assert name in text and name in html
    assert html.count("<tr>") == 4 and found.table().frame.shape[0] == 3
    by_variance = found.table(columns=["variance"], sort="variance")
    assert by_variance.frame["variance"].is_monotonic_increasing
    assert [column.field for column in by_variance.columns][1:] == ["variance"]
    with pytest.raises(estimax.UsageError, match="no column 'nothing'"):
        found.table(sort="nothing")

    again = estimax.read(tmp_path / "out")
    assert_same(again.frame, expected)
    assert again.folder == tmp_path / "out" and found.folder is None
    assert repr(again).splitlines()[0] == text.splitlines()[0]

    figure, axes = plt.subplots(1, 2)
    assert found.figures == ("bias_variance", "error_cost")
    for ax, name in zip(axes, found.figures, strict=True):
        assert found.plot(name, ax=ax) is ax
        labels = {"GumbelSoftmax[0.5]", "DisARM", "ScoreFunction[LeaveOneOut[4]]"}
        assert set(ax.get_legend_handles_labels()[1]) == labels
        assert ax.get_ylabel() and ax.get_yscale() == "log"
        assert figure.axes[-1].get_xlabel() or ax.get_xlabel()  # of the strip, or its own
    assert isinstance(found.plot(), Figure)
    with pytest.raises(estimax.UsageError, match="no figure 'training'; choose from bias_variance"):
        found.plot("training")
    plt.close(figure)


def test_results_in_a_folder(tmp_path, capsys):
    out, options = tmp_path / "out", {"samples": 32}
    first = estimax.compare("Quadratic", "DisARM", output=out, **options)
    assert {"results.parquet", "table.tex", "bias_variance.pdf"} <= {
        path.name for path in out.iterdir()
    }
    again = estimax.compare("Quadratic", "DisARM", output=str(out), **options)
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)  # times too
    with pytest.raises(estimax.UsageError, match="another run"):
        estimax.compare("Quadratic", "DisARM", output=out, seed=1, **options)
    assert capsys.readouterr() == ("", "")


def test_temperature(tmp_path):
    expected = of_command(
        tmp_path, "temperature", "--problem", "Quadratic", "--samples", 64,
        "--estimators", "GumbelSoftmax[1]", "Exact", "--temperatures", 0.5, 1,
    )  # fmt: skip
    chosen = ["GumbelSoftmax[1]", estimax.Exact()]
    found = estimax.temperature("Quadratic", chosen, temperatures=[1, 0.5], samples=64)
    assert_same(found.frame, expected)
    figure, ax = plt.subplots()
    found.plot(ax=ax)
    assert len(ax.get_legend_handles_labels()[1]) == 2
    plt.close(figure)
    with pytest.raises(estimax.UsageError, match="none of the estimators has a temperature"):
        estimax.temperature("Quadratic", "DisARM", samples=64)


def test_train(tmp_path):
    expected = of_command(
        tmp_path / "command", "train", "--problem", "Quadratic", "--steps", 20, "--seeds", 2,
        "--estimators", "DisARM", "--measure", "DisARM", "--samples", 32, "--learning-rates", 0.01,
        "--optimiser", "SGD", "--schedule", "learning_rate=Linear[1,0.5,10]",
    )  # fmt: skip
    found = estimax.train(
        "Quadratic", "DisARM", steps=20, seeds=2, measure="DisARM", samples=32,
        learning_rates=0.01, optimiser="SGD", schedule={"learning_rate": "Linear[1,0.5,10]"},
    )  # fmt: skip
    assert_same(found.frame, expected)
    assert found.figures == ("training", "along_training")
    figure, axes = plt.subplots(2)
    for ax, name in zip(axes, found.figures, strict=True):
        found.plot(name, ax=ax)
        assert ax.get_legend_handles_labels()[1] == ["DisARM"]
    plt.close(figure)


MODEL = """
import jax.numpy as jnp
from estimators import Bernoulli

def loss(model, estimator, key, batch):
    return estimator(key, Bernoulli(model), lambda bits: ((bits - 0.4) ** 2).sum())

def mine():
    return loss, jnp.zeros(2), None
"""


def test_diagnose(tmp_path):
    (tmp_path / "mine.py").write_text(MODEL)
    expected = of_command(
        tmp_path / "out", "diagnose", f"{tmp_path}/mine.py:mine", "--samples", 64,
        "--estimators", "DisARM", "StraightThrough",
    )  # fmt: skip
    scope = {"__name__": "mine"}
    exec(MODEL, scope)
    found = estimax.diagnose(*scope["mine"](), ["DisARM", "StraightThrough"], samples=64)
    kept = [
        rows.loc[~rows["metric"].isin(TIMED), ["estimator", "metric", "value", "low", "high"]]
        for rows in (found.frame, expected)
    ]
    pd.testing.assert_frame_equal(*kept, check_exact=True)
    assert found.conclusion.startswith("recommended: DisARM") and found.conclusion in repr(found)
    assert "recommended: DisARM" in found._repr_html_()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: estimax.compare("Quadratic", "DisARN"), "did you mean 'DisARM'"),
        (lambda: estimax.compare("Quadratic", [estimax.DisARM]), "DisARM is a class"),
        (lambda: estimax.compare(problems.Quadratic, "DisARM"), "Quadratic is a class"),
        (lambda: estimax.compare("Quadratic", "VIMCO"), "does not fit"),
        (lambda: estimax.train("Quadratic", "DisARM", optimiser="Adm"), "did you mean 'Adam'"),
        (lambda: estimax.read("nowhere"), "no results in nowhere"),
    ],
)
def test_bad_requests_are_one_line(call, says):
    with pytest.raises(estimax.UsageError, match=says) as caught:
        call()
    (line,) = caught.value._render_traceback_()  # what a notebook shows
    assert line == f"UsageError: {caught.value}" and "\n" not in line


def test_the_names_of_estimators():
    import estimators

    for cls in (*estimators.ALL, *estimators.PARTS, estimators.Bernoulli, estimators.Categorical):
        assert getattr(estimax, cls.__name__) is cls and cls.__name__ in dir(estimax)
    assert not hasattr(estimax, "core") and not hasattr(estimax, "enumeration")


def test_importing_is_lazy():
    code = (
        "import sys, estimax; dir; estimax.__version__; estimax.UsageError\n"
        "assert not {'jax', 'numpy', 'pandas'} & sys.modules.keys()\n"
        "estimax.GumbelSoftmax(0.5)\n"
        "slow = {'flax', 'matplotlib', 'optax', 'orbax', 'pandas', 'scipy'}\n"
        "assert not slow & sys.modules.keys()\n"
        "import jax; from experiments.system.device import num_cores\n"
        "assert jax.device_count('cpu') == num_cores()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_where_jax_is_running_its_devices_stay():
    code = (
        "import jax; jax.config.update('jax_num_cpu_devices', 3); jax.devices()\n"
        "import estimax; estimax.GumbelSoftmax(0.5); assert jax.device_count('cpu') == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_are_drawn_as_by_the_options_and_into_any_axes(tmp_path):
    """Also those of `estimax figure`, and of a published table."""
    made = ["figure", "variance-by-evaluations", "--budget", "smoke"]
    of_command(tmp_path / "figure", *made)
    figures = {"figure": estimax.read(tmp_path / "figure")}
    figures["reproduce"] = estimax.read("docs/results/jang2017-table1-laptop")
    expected = {"figure": "with replacement", "reproduce": "ours"}
    for name, found in figures.items():
        figure, ax = plt.subplots()
        assert found.plot(ax=ax) is ax
        assert expected[name] in ax.get_legend_handles_labels()[1]
        plt.close(figure)
        drawn = found.plot(width="column", titles=False)
        assert isinstance(drawn, Figure) and drawn.get_figwidth() == 3.25
        assert drawn._suptitle is None
    only = figures["figure"].plot(only="with replacement")
    assert isinstance(only, Figure)
    assert {line.get_label() for line in only.axes[0].lines} == {"with replacement"}
    for options, says in (
        ({"width": "wide"}, "the width must be column, text or from 2 to 20 inches, not 'wide'"),
        ({"width": 0}, "not '0'"),
        ({"only": "Nobody"}, "no estimator is called Nobody"),
    ):
        with pytest.raises(estimax.UsageError, match=says):
            figures["figure"].plot(**options)


def test_a_figure_without_a_main_panel_says_so(tmp_path):
    of_command(tmp_path, "figure", "relaxed-samples", "--budget", "smoke")
    found = estimax.read(tmp_path)
    figure, ax = plt.subplots()
    with pytest.raises(estimax.UsageError, match="relaxed_samples has no main panel"):
        found.plot(ax=ax)
    plt.close(figure)
    assert isinstance(found.plot(), Figure)
