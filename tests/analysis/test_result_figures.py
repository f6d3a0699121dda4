import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba
from matplotlib.text import Annotation, Text

from analysis import files, save_figure, style
from analysis.figures import bias_variance, error_cost, temperature
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
    """The points of an estimator: the lines that carry its label."""
    lines = [line for line in ax.lines if line.get_label() == name]
    return [tuple(map(float, xy)) for line in lines for xy in zip(*line.get_data(), strict=True)]


def arrows(ax):
    return [text for text in ax.texts if isinstance(text, Annotation)]


def assert_readable(figure):
    """Nothing is cut, nothing is laid over something else, no letter is tiny."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    page = figure.bbox
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes]
    boxes += [legend.get_window_extent(renderer) for legend in figure.legends]
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
        for line in ax.lines:
            assert np.isfinite(np.asarray(ax.get_xlim() + ax.get_ylim())).all()
            ys = np.asarray(line.get_ydata(), float)
            assert line.get_transform() != ax.transData or (ys[np.isfinite(ys)] > 0).all()


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("name", FIGURES)
def test_readable_with_few_and_many(name, rows):
    module, make = FIGURES[name]
    assert_readable(module.draw(make()))
    if name != "temperature":
        assert_readable(module.draw(synthetic.comparison(MANY)))
        assert_readable(module.draw(synthetic.comparison({"Exact": synthetic.ESTIMATORS["Exact"]})))
        assert_readable(module.draw(synthetic.comparison({USER: ("yes", 2, 0.0, 0.3, 1e-4)}, {})))
        long = rows.assign(problem="StochasticNetwork[layers=200-200-784,binarised=True,deep=No]")
        assert_readable(module.draw(long))
    else:
        assert_readable(module.draw(synthetic.temperature_study((0.5,))))


@pytest.mark.parametrize("name", FIGURES)
def test_every_estimator_is_in_the_legend_once(name):
    module, make = FIGURES[name]
    rows = make()
    found = labels(module.draw(rows))
    expected = set(rows["estimator"]) - set(synthetic.SKIPPED)
    if name == "temperature":
        expected = {"GumbelRao[num_samples=10]", "GumbelSoftmax", "REBAR", "Exact", "DisARM",
                    "StraightThrough", "ReinMax"}  # fmt: skip
    for estimator in expected:
        assert len([text for text in found if text.split(": ")[0] == estimator]) == 1
    assert not any("VIMCO" in text for text in found)


def test_bias_variance_points(rows):
    points = bias_variance.data(rows).set_index("estimator")
    figure = bias_variance.draw(rows)
    (ax,) = figure.axes
    left, bottom = ax.get_xlim()[0], ax.get_ylim()[0]
    for name, point in points.iterrows():
        x, y = drawn(ax, name)[0]
        if name == "Exact":
            assert (x, y) == (left, bottom)
            continue
        assert x == point["variance"]
        limit = point["squared_bias_low"] == 0
        assert y == point["squared_bias_high" if limit else "squared_bias"]
        assert (point["bias_shown"] == "upper limit") == limit
    limits = points[points["bias_shown"] == "upper limit"]
    assert {(a.xy) for a in arrows(ax)} == set(
        zip(limits["variance"], limits["squared_bias_high"], strict=True)
    )
    assert all(a.xyann[1] < 0 for a in arrows(ax))  # downwards
    # Intervals: one across per estimator with a variance, one upright per estimate of the bias.
    segments = [segment for bars in ax.collections for segment in bars.get_segments()]
    across = {(s[0][0], s[1][0]) for s in segments if s[0][1] == s[1][1]}
    upright = {(s[0][1], s[1][1]) for s in segments if s[0][0] == s[1][0]}
    spread = points[points["variance"] > 0]
    estimates = points[points["bias_shown"] == "estimate"]
    for found, lines, metric in (
        (across, spread, "variance"),
        (upright, estimates, "squared_bias"),
    ):
        expected = lines[[f"{metric}_low", f"{metric}_high"]].to_numpy()
        np.testing.assert_allclose(sorted(found), sorted(map(tuple, expected)), rtol=1e-9)
    grey = [line for line in ax.lines if line.get_color() == "0.75"]
    for line in grey:
        total = np.log10(np.sum(line.get_data(), axis=0))
        np.testing.assert_allclose(total, np.round(total), atol=1e-9)


def test_rounding_is_zero_not_a_decade(rows):
    """An exactly solved problem leaves 1e-15 in float32: no reason for an axis of 15 decades."""
    few = rows[rows["estimator"].isin(["MuProp", "REBAR", "DisARM"])]
    few = with_value(few, "MuProp", "squared_bias", [1e-17, 0, 3e-17])
    few = with_value(few, "MuProp", "variance", [2e-15, 1e-15, 3e-15])
    assert bias_variance.data(few).set_index("estimator")["bias_shown"]["MuProp"] == "zero"
    (ax,) = bias_variance.draw(few).axes
    assert ax.get_ylim()[0] > 1e-9 and ax.get_xlim()[0] > 1e-9
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
        np.testing.assert_allclose(drawn(ax, name), curve[["budget", "error"]])
    assert len(ax.collections) == curves["estimator"].nunique()  # the bands
    assert "Exact: one gradient takes 1,024 evaluations" in labels(figure)
    assert ax.get_xlim() == (1, 1000)


def test_error_cost_of_time_and_of_exact(rows):
    curves = error_cost.data(rows, "seconds")
    fastest = rows.loc[rows["metric"] == "seconds", "value"].min()
    assert curves["budget"].min() == fastest and np.isclose(curves["budget"].max(), 1000 * fastest)
    figure = error_cost.draw(rows, "seconds")
    (ax,) = figure.axes
    assert [x for x, _ in drawn(ax, "Exact")] == [2e-3, 2e-3]  # a vertical line
    assert "Exact: zero error from 2.00 ms" in labels(figure)
    assert "seconds" in ax.get_xlabel()
    with pytest.raises(ValueError, match="cost is evaluations or seconds, not 'flops'"):
        error_cost.draw(rows, "flops")  # pyright: ignore


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
        assert ax.collections  # the bands


def test_small_samples_are_hollow(study):
    figure = temperature.draw(study)
    for ax in figure.axes:
        for line in ax.lines:
            if line.get_marker() in (None, "None", "") or len(line.get_xdata()) == 0:
                continue
            hollow = line.get_markerfacecolor() == "white"
            if line.get_label() in ("REBAR", "GumbelSoftmax"):
                assert hollow == (max(line.get_xdata()) < 0.1)
            else:
                assert not hollow or max(line.get_xdata()) < 0.1
    assert "hollow: sample too small for its temperature" in labels(figure)
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
    with pytest.raises(ValueError, match="several values of problem"):
        module.draw(pd.concat([rows, rows.assign(problem="VAE")]))
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


def test_a_method_looks_the_same_everywhere(rows, study):
    def colours(figure):
        return {
            line.get_label(): (to_hex(line.get_color()), line.get_marker())
            for ax in figure.axes
            for line in ax.lines
            if not line.get_label().startswith("_") and line.get_marker() not in ("None", "")
        }

    one, other = colours(bias_variance.draw(rows)), colours(temperature.draw(study))
    for name in ("REBAR", "GumbelSoftmax", "ReinMax", "DisARM", "Exact"):
        assert one[name] == other[name]
    few = rows[rows["estimator"].isin(["REBAR", "DisARM"])]
    assert colours(bias_variance.draw(few))["REBAR"] == one["REBAR"]


def test_looks_are_told_apart():
    pairs = [style.method_look(name)[:2] for name in style._PLACES]
    assert len(set(pairs)) == len(pairs)
    # An unknown name never takes the look of a known one, and keeps its own from run to run.
    unknown = {style.method_look(f"Mine{i}")[:2] for i in range(500)}
    assert not unknown & set(pairs) and len(unknown) > 50
    assert style.method_look("MyEstimator")[:2] == ("#009E73", "<")
    many = style.looks({f"ScoreFunction[k={i}]": "ScoreFunction" for i in range(10)})
    assert len(set(many.values())) == 10
    assert len(style._PLACES) <= style._RESERVED
    assert len({(look.colour, look.marker) for look in many.values()}) == 1
    assert all(to_rgba(look.face) != to_rgba("white") for look in many.values())


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
