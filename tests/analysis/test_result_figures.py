import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation, Text

from analysis import files, save_figure, style
from analysis.figures import bias_variance, error_cost, temperature
from analysis.page import Page
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_result_tables import USER, with_value

FIGURES = {
    "bias_variance": (bias_variance, synthetic.comparison),
    "error_cost": (error_cost, synthetic.comparison),
    "temperature": (temperature, synthetic.temperature_study),
}
MANY = synthetic.ESTIMATORS | {
    f"User{i}[alpha={i}]": ("no", 1, 10.0 ** -(i / 2 + 1), 10.0 ** (i / 3 - 2), 1e-4)
    for i in range(10)
}


@pytest.fixture(scope="module")
def rows():
    return synthetic.comparison()


@pytest.fixture(scope="module")
def study():
    return synthetic.temperature_study()


def labels(figure):
    """The text of every legend entry, on one line."""
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [text.replace("\n  ", "").replace("\n", " ") for text in texts]


def drawn(ax, name):
    """The points of an estimator: the lines that carry its label, as in the legend or hidden."""
    lines = [line for line in ax.lines if line.get_label() in (name, f"_{name}")]
    return [tuple(map(float, xy)) for line in lines for xy in zip(*line.get_data(), strict=True)]


def arrows(ax):
    return [text for text in ax.texts if isinstance(text, Annotation)]


def assert_named(ax):
    """What is drawn on lines with names, one for each tick, is drawn on these."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    is_text = any(letter.isalpha() for name in names for letter in name.replace("mathdefault", ""))
    if not is_text or set(np.diff(ax.get_yticks())) != {1}:  # numbers, or names of groups
        return
    for line in ax.lines:
        if line.get_marker() not in ("", "None", None) and len(line.get_ydata()) == 1:
            assert abs(float(line.get_ydata()[0]) - ax.get_yticks()).min() < 0.5


def assert_readable(figure):
    """Nothing is cut, nothing is laid over something else, no letter is tiny, names fit marks."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    page = figure.bbox
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
    if figure._suptitle:
        boxes.append(figure._suptitle.get_window_extent(renderer))
    for box in boxes:
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, along) < 1
    for legend in figure.legends:
        entries = [text.get_window_extent(renderer) for text in legend.get_texts()]
        for one, other in itertools.combinations(entries, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))
    shown = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= 7
    for ax in figure.axes:
        assert_named(ax)
        for line in ax.lines:
            assert np.isfinite(np.asarray(ax.get_xlim() + ax.get_ylim())).all()
            ys = np.asarray(line.get_ydata(), float)
            assert line.get_transform() != ax.transData or (ys[np.isfinite(ys)] > 0).all()


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("name", FIGURES)
def test_readable_with_few_and_many(name, rows):
    module, make = FIGURES[name]
    assert_readable(module.draw(make()))
    narrow = module.draw(make(), Page(3.25, titles=False))
    assert_readable(narrow)
    assert narrow.get_figwidth() == 3.25 and narrow._suptitle is None
    if name != "temperature":
        assert_readable(module.draw(synthetic.comparison(MANY)))
        assert_readable(module.draw(synthetic.comparison({"Exact": synthetic.ESTIMATORS["Exact"]})))
        assert_readable(module.draw(synthetic.comparison({USER: ("yes", 2, 0.0, 0.3, 1e-4)}, {})))
        long = rows.assign(problem="StochasticNetwork[layers=200-200-784,binarised=True,deep=No]")
        assert_readable(module.draw(long))
        assert_readable(module.draw(long, Page(2.5)))
    else:
        assert_readable(module.draw(synthetic.temperature_study((0.5,))))


@pytest.mark.parametrize("name", ["error_cost", "temperature"])
def test_at_most_twelve_estimators_are_in_the_legend_each_once(name):
    module, make = FIGURES[name]
    rows = make()
    found = [text.split(": ")[0] for text in labels(module.draw(rows))]
    expected = set(rows["estimator"]) - set(synthetic.SKIPPED)
    if name == "temperature":
        expected = {"GumbelRao[num_samples=10]", "GumbelSoftmax", "REBAR", "Exact", "DisARM",
                    "StraightThrough", "ReinMax"}  # fmt: skip
    shown = [text for text in found if text in expected]
    assert len(shown) == len(set(shown)) == min(12, len(expected))
    assert not any("VIMCO" in text for text in found)


def test_the_others_are_grey_and_in_the_data(rows):
    figure = error_cost.draw(rows)
    (ax,) = figure.axes
    grey = [line for line in ax.lines if line.get_color() == style.GREY]
    assert len(grey) == 8 and all(line.get_marker() in ("None", "") for line in grey)
    assert "grey: 8 others, named in the CSV; in colour: the least error at equal cost" in labels(
        figure
    )
    assert error_cost.data(rows)["estimator"].nunique() == 19  # Exact costs more than all budgets
    error = rows[rows["metric"] == "equal_cost_error"].set_index("estimator")["value"]
    shown = {line.get_label() for line in ax.lines} - {"_"}
    assert shown | {"Exact"} == set(error.sort_values().index[:12])
    few = rows[rows["estimator"].isin(["REBAR", "DisARM"])]
    assert not any("grey" in text for text in labels(error_cost.draw(few)))


def test_rounding_is_zero_not_a_decade(rows):
    """An exactly solved problem leaves 1e-15 in float32: no reason for an axis of 15 decades."""
    few = rows[rows["estimator"].isin(["MuProp", "REBAR", "DisARM"])]
    few = with_value(few, "MuProp", "squared_bias", [1e-17, 0, 3e-17])
    few = with_value(few, "MuProp", "variance", [2e-15, 1e-15, 3e-15])
    assert bias_variance.data(few).set_index("estimator")["bias_shown"]["MuProp"] == "zero"
    (ax,) = bias_variance.draw(few).axes  # a strip, without a plane
    assert ax.get_xlim()[0] > 1e-9
    figure = error_cost.draw(few)
    assert figure.axes[0].get_ylim()[0] > 1e-9
    assert "MuProp: zero error from 2 evaluations" in labels(figure)


def test_error_cost_curves(rows):
    curves = error_cost.data(rows)
    lines = rows.pivot(index="estimator", columns="metric", values="value")
    evaluations = rows.groupby("estimator")["evaluations"].first()
    for name, curve in curves.groupby("estimator"):
        bias = max(lines["squared_bias"][name], 0)
        if synthetic.ESTIMATORS[name][0] == "yes":
            bias = 0
        expected = bias + lines["variance"][name] * evaluations[name] / curve["budget"]
        np.testing.assert_allclose(curve["error"], expected)
        assert (curve["low"] <= curve["error"]).all() and (curve["error"] <= curve["high"]).all()
        assert curve["budget"].iloc[0] == evaluations[name] and curve["budget"].iloc[-1] == 1000
    figure = error_cost.draw(rows)
    (ax,) = figure.axes
    for name, curve in curves.groupby("estimator"):
        if drawn(ax, name):
            np.testing.assert_allclose(drawn(ax, name), curve[["budget", "error"]])
    assert len(ax.collections) == 11  # the bands of the named curves
    assert "Exact: one gradient takes 1,024 evaluations" in labels(figure)
    assert ax.get_xlim() == (1, 1000)


def test_error_cost_of_time_and_of_exact(rows):
    curves = error_cost.data(rows, "seconds")
    fastest = rows.loc[rows["metric"] == "seconds", "value"].min()
    assert curves["budget"].min() == fastest and np.isclose(curves["budget"].max(), 1000 * fastest)
    figure = error_cost.draw(rows, cost="seconds")
    (ax,) = figure.axes
    assert [x for x, _ in drawn(ax, "Exact")] == [2e-3, 2e-3]  # a vertical line
    assert "Exact: zero error from 2.00 ms" in labels(figure)
    assert "seconds" in ax.get_xlabel()
    with pytest.raises(ValueError, match="cost is evaluations or seconds, not 'flops'"):
        error_cost.draw(rows, cost="flops")  # pyright: ignore


def test_a_false_claim_of_no_bias_is_drawn(rows):
    """The bias of an estimator that calls itself unbiased counts where it is found."""
    wrong = with_value(rows, "DisARM", "squared_bias", [0.5, 0.4, 0.6])
    curve = error_cost.data(wrong).set_index("estimator").loc["DisARM"]
    assert (curve["error"] > 0.5).all()
    points = bias_variance.data(wrong).set_index("estimator")
    assert points["bias_shown"]["DisARM"] == "estimate"


def test_temperature_panels(study):
    points = temperature.data(study)
    figure = temperature.draw(study)
    assert [ax.get_title() for ax in figure.axes] == [
        "squared bias", "variance (trace)", "mean squared error",
    ]  # fmt: skip
    for ax, metric in zip(figure.axes, ("squared_bias", "variance", "mse"), strict=True):
        for family, lines in points[points["temperature"].notna()].groupby("family"):
            limit = lines["upper_limit"] & (metric == "squared_bias")
            y = lines[metric].where(~limit, lines[f"{metric}_high"])
            expected = list(zip(lines["temperature"], y, strict=True))
            np.testing.assert_allclose(sorted(drawn(ax, family)), expected)
        for line in points[points["temperature"].isna()].itertuples():
            heights = {y for _, y in drawn(ax, line.family)}
            limit = line.upper_limit and metric == "squared_bias"
            expected = getattr(line, f"{metric}_high" if limit else metric)
            if line.family == "Exact":
                expected = ax.get_ylim()[0]
            assert len(heights) == 1 and np.isclose(heights.pop(), expected)
        shown = points["upper_limit"].sum() if metric == "squared_bias" else 0
        assert len(arrows(ax)) == shown
        assert ax.collections  # the bars


def test_small_samples_are_hollow(study):
    figure = temperature.draw(study)
    for ax in figure.axes:
        for line in ax.lines:
            if line.get_marker() in (None, "None", "") or len(line.get_xdata()) == 0:
                continue
            hollow = line.get_markerfacecolor() == "white"
            if line.get_label().lstrip("_") in ("REBAR", "GumbelSoftmax"):
                assert hollow == (max(line.get_xdata()) < 0.1)
            else:
                assert not hollow or max(line.get_xdata()) < 0.1
    assert "hollow: too few samples for this temperature" in labels(figure)
    whole = temperature.draw(study.assign(note=""))
    assert not any("hollow" in text for text in labels(whole))


def test_not_finite_is_said(rows):
    bad = with_value(rows, "REBAR", "variance", [np.inf, np.nan, np.nan])
    bad = with_value(bad, "ARM", "squared_bias", [np.nan, np.nan, np.nan])
    for module in (bias_variance, error_cost):
        figure = module.draw(bad)
        assert_readable(figure)
        assert "not drawn (no finite values): ARM, REBAR" in labels(figure)


def test_why_there_is_no_figure_is_said(rows):
    lost = rows[rows["estimator"].isin(["ARM", "REBAR"])].copy()
    lost.loc[lost["metric"] == "squared_bias", ["value", "low", "high"]] = -1.0, np.nan, np.nan
    lost.loc[lost["metric"] == "squared_bias", "note"] = "too few events: 100 samples needed"
    lost.loc[lost["metric"] == "variance", ["value", "low", "high"]] = np.nan
    for module in (bias_variance, error_cost):
        with pytest.raises(ValueError, match=r"\(.*ARM: too few events: 100 samples needed"):
            module.draw(lost)


@pytest.mark.slow
def test_not_finite_temperatures_are_said(study):
    name = "GumbelSoftmax[temperature=0.5]"
    bad = with_value(study, name, "variance", [np.inf, np.nan, np.nan])
    figure = temperature.draw(bad)
    assert_readable(figure)
    assert f"not drawn (no finite values): {name}" in labels(figure)
    assert len(drawn(figure.axes[1], "GumbelSoftmax")) == 9  # one of them without a height
    without_error = temperature.draw(study[study["metric"] != "mse"])
    assert_readable(without_error)
    assert not any("not drawn" in text for text in labels(without_error))


@pytest.mark.slow
def test_no_intervals(rows, study):
    bare = {"low": np.nan, "high": np.nan}
    for figure in (
        bias_variance.draw(rows.assign(**bare)),
        error_cost.draw(rows.assign(**bare)),
        temperature.draw(study.assign(**bare)),
    ):
        assert_readable(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_bad_input_is_one_clear_error(name):
    module, make = FIGURES[name]
    rows = make()
    with pytest.raises(ValueError, match="lacks the column unbiased"):
        module.draw(rows.drop(columns="unbiased"))
    with pytest.raises(ValueError, match="is empty"):
        module.draw(rows[:0])
    with pytest.raises(ValueError, match="several values of study"):
        module.draw(pd.concat([rows, rows.assign(study="another")]))
    with pytest.raises(ValueError, match="finite|has a p_temperature"):
        module.draw(rows.assign(value=np.nan, p_temperature=np.nan))


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_saved_files(name, tmp_path):
    module, make = FIGURES[name]
    rows = make()
    first = save_figure(module.draw(rows), tmp_path / "a" / "fig", module.data(rows))
    second = save_figure(module.draw(rows), tmp_path / "b" / "fig", module.data(rows))
    assert [path.name for path in first] == ["fig.pdf", "fig.png", "fig.csv"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    pdf = first[0].read_bytes()
    assert pdf.startswith(b"%PDF") and b"CreationDate" not in pdf
    height, width, _ = mpl.image.imread(first[1]).shape
    assert width == int(5.5 * 200) and height > 300
    pd.testing.assert_frame_equal(
        pd.read_csv(first[2]), module.data(rows), check_dtype=False, check_exact=True
    )
    assert len(list(tmp_path.rglob("*.*"))) == 6  # no temporary file is left


def test_drawing_leaves_settings_alone(rows):
    before = dict(mpl.rcParams)
    bias_variance.draw(rows)
    assert dict(mpl.rcParams) == before


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = files.write_text(tmp_path / "x.txt", "old\n")
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old\n" and list(tmp_path.iterdir()) == [path]


def test_a_new_write_keeps_the_permissions_of_the_old_file(tmp_path):
    path = files.write_text(tmp_path / "folder" / "x.txt", "old\n")
    path.chmod(0o640)
    files.write_bytes(path, b"new\r\n", tmp_path / "partial")
    assert path.read_bytes() == b"new\r\n" and path.stat().st_mode & 0o777 == 0o640
    assert [*tmp_path.iterdir()] == [path.parent] and [*path.parent.iterdir()] == [path]
