"""Figures after the papers, from made up rows."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from scipy.stats import t as student

from analysis.figures import evaluations, gradient_traces, integrality, vae_pictures
from analysis.figures.legend import framed
from analysis.page import Page
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_result_figures import assert_readable, labels

TEMPERATURES = (0.1, 1.0, 16.0)


@pytest.fixture
def graphs():
    rng = np.random.default_rng(0)
    about = {
        "problem": "StructuredPrediction[size=240,depth=3,binarisation=fixed,batch_size=64]",
        "data": "MNIST, fixed binarisation (seed 0; not the published static file)",
        "method": "GumbelSoftmax",
        "steps": 2000,
    }
    records = []
    for temperature in reversed(TEMPERATURES):
        for seed in range(4):
            continuous = 80 + rng.normal()
            values = {"discrete": continuous + 1 + temperature**2 + rng.random() / 10}
            for graph, value in (values | {"continuous": continuous}).items():
                one = {"temperature": temperature, "graph": graph, "seed": seed, "value": value}
                records.append(about | one)
    return pd.DataFrame(records)


@pytest.fixture
def pixels():
    records = []
    for problem, estimator in (("VAE[size=9]", "DisARM"), ("VAE[size=3]", "GumbelSoftmax")):
        for picture, shape in (("samples", (2, 4)), ("traversals", (3, 3))):
            grid = synthetic.pictures(*shape, height=5, width=4, rng=len(records))
            records += [
                {
                    "problem": problem,
                    "estimator": estimator,
                    "steps": 1000,
                    "picture": picture,
                    **dict(zip(("row", "column", "y", "x"), place, strict=True)),
                    "value": value,
                }
                for place, value in np.ndenumerate(grid)
            ]
    return pd.DataFrame(records)


def test_the_gap_is_taken_seed_by_seed(graphs):
    points = integrality.data(graphs.sample(frac=1, random_state=0)).set_index("curve")
    gap = points.loc["discrete - continuous"]
    assert gap["temperature"].tolist() == list(TEMPERATURES) and (gap["seeds"] == 4).all()
    # The seeds share their continuous part, whose spread is ten times that of the gap.
    assert (gap["high"] - gap["low"] < 0.4).all()
    for temperature, part in graphs.groupby("temperature"):
        wide = part.pivot(index="seed", columns="graph", values="value")
        curves = dict(wide) | {"discrete - continuous": wide["discrete"] - wide["continuous"]}
        for name, values in curves.items():
            point = points[points["temperature"] == temperature].loc[str(name)]
            half = student.ppf(0.975, 3) * values.std() / 2
            expected = [values.mean(), values.mean() - half, values.mean() + half]
            np.testing.assert_allclose(point[["value", "low", "high"]].astype(float), expected)


def test_integrality_figure(graphs):
    figure = integrality.draw(graphs)
    assert_readable(figure)
    points = integrality.data(graphs)
    both, gap = figure.axes
    look = synthetic.look("GumbelSoftmax")
    drawn = {}
    for ax in (both, gap):
        lines = [line for line in ax.lines if len(line.get_xdata()) == len(TEMPERATURES)]
        drawn[ax] = [np.transpose(line.get_data()) for line in lines]
        bars = [each for each in ax.collections if isinstance(each, LineCollection)]
        assert len(bars) == len(lines) == len(ax.collections)  # no bands besides
        names = ("continuous", "discrete") if ax is both else (integrality.GAP,)
        for bar, name in zip(bars, names, strict=True):
            ends = points.loc[points["curve"] == name, ["low", "high"]]
            np.testing.assert_array_equal([each[:, 1] for each in bar.get_segments()], ends)
    assert [line.get_marker() for line in both.lines] == [look.marker] * 2
    for lines, curves in (
        (drawn[both], ("continuous", "discrete")),
        (drawn[gap], (integrality.GAP,)),
    ):
        expected = [points.loc[points["curve"] == one, ["temperature", "value"]] for one in curves]
        np.testing.assert_array_equal(lines, expected)
    assert labels(figure)[:2] == ["95 % interval of the mean over seeds", "continuous graph"]
    assert figure._suptitle.get_text().startswith("StructuredPrediction[size=240")
    few = integrality.draw(graphs[graphs["seed"] < 2])
    assert not [ax.collections for ax in few.axes if ax.collections]  # Student's of two seeds
    assert "mean of 2 seeds" in labels(few)


def test_pixels_are_drawn_where_they_belong(pixels):
    within = [part.sample(frac=1, random_state=0) for _, part in pixels.groupby("problem")]
    for rows in (pixels, pd.concat(within)):
        figure = vae_pictures.draw(rows)
        grids = rows.drop_duplicates(["problem", "picture"])
        for ax, grid in zip(figure.axes, grids.itertuples(), strict=True):
            (image,) = ax.get_images()
            own = pixels[(pixels["problem"] == grid.problem) & (pixels["picture"] == grid.picture)]
            for one in own.sample(30, random_state=1).itertuples():
                y, x = one.row * 6 + one.y, one.column * 5 + one.x
                assert image.get_array()[y, x] == one.value
        assert len(vae_pictures.data(rows)) == len(pixels) / 4


def test_every_grid_has_its_name_above_it(pixels):
    figure = vae_pictures.draw(pixels)
    renderer = FigureCanvasAgg(figure).get_renderer()
    names = [text for text in figure.texts if text is not figure._suptitle]
    assert [text.get_text() for text in names] == [
        "VAE[size=9], trained by DisARM: samples",
        "traversals: the most likely code, then one variable changed at a time",
        "VAE[size=3], trained by GumbelSoftmax: samples",
        "traversals: the most likely code, then one variable changed at a time",
    ]
    assert "1,000 steps" in figure._suptitle.get_text()
    ceiling = figure._suptitle.get_window_extent(renderer).y0
    for text, ax in zip(names, figure.axes, strict=True):
        box, grid = text.get_window_extent(renderer), ax.get_window_extent(renderer)
        assert grid.y1 <= box.y0 and box.y1 <= ceiling and text.get_fontsize() >= 7
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        ceiling = grid.y0
    assert ceiling > -1


@pytest.mark.parametrize("module", [integrality, vae_pictures])
def test_bad_input_is_one_clear_error(module, graphs, pixels):
    rows = graphs if module is integrality else pixels
    with pytest.raises(ValueError, match="lacks the column value"):
        module.draw(rows.drop(columns="value"))
    with pytest.raises(ValueError, match="is empty"):
        module.draw(rows[:0])


def test_variance_by_evaluations_has_the_fixed_looks():
    methods = {"independent": "Average", "set": "UnorderedSet", "sum": "SumAndSample"}
    records = []
    for logit in (0.0, -4.0):
        for count in (1, 2, 3):
            for name, method in methods.items():
                zero = count == 3 and name != "independent"
                variance = 1e-20 if zero else 1 / count
                records.append(
                    {
                        "name": name,
                        "method": "ScoreFunction" if count == 1 else method,
                        "logit": logit,
                        "evaluations": count,
                        "metric": "variance",
                        "value": variance,
                        "low": 0.9 * variance,
                        "high": 1.1 * variance,
                    }
                )
    figure = evaluations.draw(pd.DataFrame(records))
    assert_readable(figure)
    assert_readable(evaluations.draw(pd.DataFrame(records), Page(3.25)))
    for ax in figure.axes:
        curves = [line for line in ax.lines if len(line.get_xdata()) > 1]
        assert len({(line.get_color(), line.get_marker()) for line in curves}) == 3
        assert [len(line.get_xdata()) for line in curves] == [3, 2, 2]
        # Arrows for what has no variance, each to be seen.
        places = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
        assert len(set(places)) == 2 and np.allclose(places, 3, atol=0.2)


def test_traces_that_cover_each_other_have_markers_apart():
    methods = {"true gradient": "Exact", "ARM": "ARM", "DisARM": "DisARM"}
    records = [
        {"p0": 0.49, "name": name, "estimator": method, "method": method, "metric": metric,
         "step": step, "value": 0.1 + step}
        for name, method in methods.items()
        for metric in ("gradient", "probability", "objective")
        for step in range(60)
    ]  # fmt: skip
    figure = gradient_traces.draw(pd.DataFrame(records))
    assert_readable(figure)
    for ax in figure.axes:
        assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == len(methods)
        shown = [set(range(60)[slice(line.get_markevery()[0], None, line.get_markevery()[1])])
                 for line in ax.lines]  # fmt: skip
        assert all(shown) and len(set.union(*shown)) == sum(map(len, shown))


@pytest.mark.parametrize("width", [2.0, 3.25, 5.5])
def test_a_title_is_the_parts_that_fit_on_one_line(width):
    title = "Concrete distributions, of 10,000 samples, " + ", ".join(["of another part"] * 20)
    text = framed(Page(width), title, 1, [])._suptitle.get_text()
    assert title.startswith(text) and title[len(text)] == ","
    (longest,) = [text for text in [framed(Page(width), "x" * 400, 1, [])._suptitle.get_text()]]
    assert longest.endswith("…") and len(longest) > 10
    assert framed(Page(width, titles=False), title, 1, [])._suptitle is None
