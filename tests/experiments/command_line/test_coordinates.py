"""Moments of every coordinate of a gradient, kept with a measurement."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import estimax
from analysis import reading
from analysis.figures import coordinates as figure
from analysis.page import WIDTHS, Page
from estimators import DisARM, Exact, GumbelSoftmax, ScoreFunction
from experiments.command_line import main
from experiments.measurement.keys import named_keys
from experiments.measurement.moments import sample_key
from experiments.problems import Coupled
from experiments.running.results import FILE, Results
from tests.experiments.helpers.command import numbers

PROBLEM = Coupled(bits=3)
ESTIMATORS = [ScoreFunction(), DisARM(), GumbelSoftmax(0.5), Exact()]
ARGUMENTS = [
    *("compare", "--problem", "Coupled[bits=3]", "--samples", "64", "--format", "png"),
    *("--estimators", *map(str, ESTIMATORS), "--group", "logits"),
]


def run(folder, *arguments):
    assert main([*map(str, arguments), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return run(tmp_path_factory.mktemp("kept") / "out", *ARGUMENTS, "--coordinates")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return run(tmp_path_factory.mktemp("bare") / "out", *ARGUMENTS)


def test_they_are_those_of_the_gradients(kept):
    found = estimax.read(kept).coordinates()
    params = PROBLEM.initial(jax.random.key(0))
    keys = jax.vmap(sample_key, (None, 0))(named_keys(0, "measure")["measure"], jnp.arange(64))

    def loss(params, estimator, key):
        return PROBLEM.loss(params, estimator, key, None)

    gradient = jax.jit(jax.grad(loss))
    gradients = jax.jit(jax.vmap(jax.grad(loss), (None, None, 0)))
    for estimator in ESTIMATORS:
        own = found[found["estimator"] == str(estimator)]
        every = gradients(params, estimator, keys)["logits"]
        every = np.asarray(every, np.float64)
        np.testing.assert_allclose(own["mean"], every.mean(0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(own["variance"], every.var(0, ddof=1), rtol=1e-3, atol=1e-9)
        truth = gradient(params, Exact(), keys[0])["logits"]
        np.testing.assert_allclose(own["truth"], truth, rtol=1e-5)
        assert list(own["leaf"]) == ["logits"] * 3 and list(own["index"]) == [0, 1, 2]
        # Their sum is the trace of the same row of the table.
        rows = numbers(kept, estimator=str(estimator), metric="variance")
        assert own["variance"].sum() == pytest.approx(rows["value"].iloc[0], rel=1e-6, abs=1e-9)


def test_arrays_of_parameters_are_named(tmp_path):
    problem = "VAE[size=2,depth=2,batch_size=2]"
    more = {"samples": 32, "train_steps": 2, "group": ["logits_2", "encoder_2"]}
    found = estimax.compare(problem, "StraightThrough", coordinates=True, **more).coordinates()
    sizes = found.groupby(["group", "leaf"], sort=False).size()
    assert sizes.to_dict() == {
        ("logits_2", "logits_2"): 4,
        ("encoder_2", "encoder/1/layers/0/bias"): 2,
        ("encoder_2", "encoder/1/layers/0/kernel"): 4,
    }
    # The bias of a layer is added to the logits of each example.
    truth = found.set_index("leaf")["truth"]
    added = truth["logits_2"].to_numpy().reshape(2, 2).sum(0)
    np.testing.assert_allclose(added, truth["encoder/1/layers/0/bias"], rtol=1e-4, atol=1e-7)


def test_nothing_else_changes(kept, bare):
    rows = numbers(kept)
    rows = rows[rows["metric"] != "coordinates"].reset_index(drop=True)
    plain = numbers(bare)
    pd.testing.assert_frame_equal(rows[list(plain)], plain, check_exact=True)
    with pytest.raises(estimax.UsageError, match="were not kept"):
        estimax.read(bare).coordinates()
    names = [(folder / "table.csv").read_text().split("\n")[0] for folder in (kept, bare)]
    assert names[0] == names[1]
    assert (kept / "coordinates.png").exists() and not (bare / "coordinates.png").exists()


def test_an_interrupted_run_goes_on_with_them(kept):
    table = pd.read_parquet(kept / FILE)
    records = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    again = Results(None, table.attrs["configuration"], {}, rows=records).table()
    for name in ("mean", "variance", "truth"):
        one, other = (frame[f"coordinate_{name}"].dropna() for frame in (table, again))
        assert len(one) == len(ESTIMATORS)
        np.testing.assert_array_equal(np.stack(one.tolist()), np.stack(other.tolist()))


def test_results_with_them_are_merged_and_compared(kept, bare, tmp_path, capsys):
    both = run(tmp_path / "both", "merge", bare, kept)
    merged = estimax.read(both).coordinates()
    pd.testing.assert_frame_equal(merged, estimax.read(kept).coordinates())
    capsys.readouterr()
    assert main(["diff", str(kept), str(both)]) == 0
    assert main(["diff", str(kept), str(bare)]) in (0, 1)


def test_sweeps_and_seeds_keep_them(tmp_path):
    found = estimax.temperature(
        "Quadratic", "GumbelSoftmax", temperatures=[0.5, 1.0], samples=32, coordinates=True
    )
    assert found.coordinates()["estimator"].nunique() == 2
    assert "coordinates" in found.figures
    seeds = estimax.compare("Coupled[bits=2]", "DisARM", seeds=2, samples=32, coordinates=True)
    assert list(seeds.coordinates()["seed"]) == [0, 0, 1, 1]
    assert figure.data(seeds.frame).groupby("estimator")["share"].sum().eq(1).all()


# The figure ---------------------------------------------------------------------------------------


def test_the_histogram_has_every_coordinate(kept):
    rows = reading.read(kept / FILE)
    points = figure.data(rows)
    every = estimax.read(kept).coordinates()
    np.testing.assert_allclose(points.groupby("estimator")["share"].sum(), 1)
    for name, own in points.groupby("estimator"):
        spread = np.sqrt(every.loc[every["estimator"] == name, "variance"])
        assert own["share"].iloc[0] == (spread == 0).mean()
        for one in own[own["high"] > 0].itertuples():
            inside = (spread >= one.low) & (spread < one.high)
            assert one.share == pytest.approx(inside.mean())
    drawn = figure.draw(rows)
    assert len(drawn.axes) == 1
    (ax,) = drawn.axes
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["Exact"].get_ydata()[0] == 1  # without variance
    assert len(ax.get_legend_handles_labels()[1]) == len(ESTIMATORS)


# Files that are not what they should be -----------------------------------------------------------

MEAN, LEAVES = "coordinate_mean", "coordinate_leaves"
BROKEN = {
    "another length": (MEAN, lambda cell: cell[:-1]),
    "text": (MEAN, lambda cell: "1 2 3"),
    "text in lists": (MEAN, lambda cell: ["a", "b", "c"]),
    "whole numbers": (MEAN, lambda cell: [1, 2, 3]),
    "nested": (MEAN, lambda cell: [[1.0], [2.0], [3.0]]),
    "nothing": (MEAN, lambda cell: None),
    "no names": (LEAVES, lambda cell: None),
    "other names": (LEAVES, lambda cell: "logits"),
    "other sizes": (LEAVES, lambda cell: "logits[4]"),
    "huge sizes": (LEAVES, lambda cell: "logits[9999999999,9999999999,9999999999]"),
    "endless sizes": (LEAVES, lambda cell: f"logits[{'9' * 5000}]"),
    "a name twice": (LEAVES, lambda cell: "logits[1]; logits[2]"),
    "no columns": (LEAVES, None),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_malformed_ones_are_refused(broken, kept, tmp_path):
    table = pd.read_parquet(kept / FILE)
    name, change = BROKEN[broken]
    if change is None:
        table = table.drop(columns=name)
    else:
        chosen = table["metric"] == "coordinates"
        changed = table[name].astype(object).where(chosen, None)
        changed[chosen] = pd.Series([change(cell) for cell in changed[chosen]], dtype=object).values
        table[name] = changed
    table.to_parquet(tmp_path / FILE)
    with pytest.raises(ValueError, match="cannot be read") as raised:
        reading.read(tmp_path / FILE)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 1000


def test_lists_in_other_rows_or_columns_are_refused(kept, tmp_path):
    table = pd.read_parquet(kept / FILE)
    first = table[MEAN].dropna().iloc[0]
    for name in (MEAN, "note", "value"):
        changed = table.copy()
        changed[name] = pd.Series([first] * len(table), table.index, dtype=object)
        changed.to_parquet(tmp_path / FILE)
        with pytest.raises(ValueError, match="cannot be read"):
            reading.read(tmp_path / FILE)


def test_labels_of_the_axis_do_not_overlap(kept):
    drawn = figure.draw(estimax.read(kept).frame, Page(WIDTHS["column"]))
    drawn.canvas.draw()
    for ax in drawn.axes:
        labels = ax.get_xticklabels(which="both")
        shown = [one.get_window_extent() for one in labels if one.get_text() and one.get_visible()]
        inside = sorted((one.x0, one.x1) for one in shown)
        assert len(inside) >= 2
        assert all(a[1] < b[0] for a, b in zip(inside, inside[1:], strict=False))
