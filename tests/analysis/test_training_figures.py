import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import analysis
from analysis import save_figure
from analysis.figures import along_training, bias_variance, training
from analysis.page import Page
from analysis.style import DOTS, GREY
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_result_figures import arrows, assert_readable, drawn, labels
from tests.analysis.test_result_tables import USER

FIGURES = {
    "training": (training, synthetic.training),
    "along_training": (along_training, synthetic.along),
}
FEW = {name: synthetic.TRAINED[name] for name in ("REBAR", "DisARM", "ScoreFunction")}


@pytest.fixture(scope="module")
def rows():
    return synthetic.training()


@pytest.fixture(scope="module")
def few():
    return synthetic.training(FEW)


@pytest.fixture(scope="module")
def measured():
    return synthetic.along()


def mean_curve(ax, name):
    """The points of the line through an estimator's markers."""
    (line,) = (line for line in ax.lines if line.get_label() == name and line.get_marker() != "x")
    return np.array(line.get_data(), float)


def crosses(ax):
    """Where runs diverged, with their colours."""
    return sorted(
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_color())
        for line in ax.lines
        if line.get_marker() == "x"
    )


def bands(ax, look):
    """The corners of the bands of one colour."""
    found = [c for c in ax.collections if to_hex(c.get_facecolor()[0]) == look.colour.lower()]
    return [{tuple(corner) for corner in c.get_paths()[0].vertices} for c in found if c.get_paths()]


def is_corner(corners, x, y):
    return any(np.allclose(corner, (x, y)) for corner in corners)


@pytest.mark.first_cases(1)
@pytest.mark.parametrize(
    "case", ["all", "one", "user", "single evaluation", "toy", "diverged", "two seeds", "many"]
)
def test_training_is_readable(case, rows, few):
    temperatures = {
        f"GumbelSoftmax[temperature={t}]": (100 + t, 900) for t in np.geomspace(0.1, 5, 13).round(2)
    }
    made = {
        "all": lambda: rows,
        "one": lambda: synthetic.training({"DisARM": (104, 1000)}, 1, (1e-3,)),
        "user": lambda: synthetic.training({USER: (104, 1000)}, 1).assign(problem=USER),
        "single evaluation": lambda: few[(few["split"] != "validation") | (few["step"] == 10_000)],
        "toy": lambda: few[few["metric"].isin(["loss", "diverged"])].assign(data=""),
        "diverged": lambda: few[few["estimator"] == "ScoreFunction"].query("learning_rate > 9e-4"),
        "two seeds": lambda: synthetic.training(FEW, 2),
        "many": lambda: synthetic.training(synthetic.TRAINED | temperatures, 1),
    }
    assert_readable(training.draw(made[case]()))


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("case", ["one run", "runs", "one step", "one estimator", "exact"])
def test_along_training_is_readable(case, measured):
    made = {
        "one run": lambda: measured,
        "runs": lambda: synthetic.along((*FEW, USER)),
        "one step": lambda: synthetic.along(steps=(500,)),
        "one estimator": lambda: measured[measured["measured"] == "REBAR"],
        "exact": lambda: measured[measured["measured"] == "Exact"],
    }
    assert_readable(along_training.draw(made[case]()))


def test_curves_are_means_over_seeds(few):
    points = training.data(few)
    figure = training.draw(few)
    loss, bound = figure.axes
    assert (loss.get_title(), bound.get_title()) == (
        "training loss",
        "negative validation bound, 100 samples",
    )
    assert loss.get_ylabel() == bound.get_ylabel() == "nats"
    own = few[(few["estimator"] == "DisARM") & (few["learning_rate"] == 1e-3)]
    for ax, chosen in (
        (loss, own[own["metric"] == "loss"]),
        (bound, own[(own["metric"] == "negative_bound") & (own["split"] == "validation")]),
    ):
        values = chosen.pivot(index="step", columns="seed", values="value")
        x, y = mean_curve(ax, "DisARM")
        np.testing.assert_array_equal(x, values.index)
        np.testing.assert_allclose(y, values.mean(axis="columns"))
        # Student's quantile of three seeds.
        half = 4.302653 * values.std(axis="columns") / np.sqrt(3)
        (corners,) = bands(ax, synthetic.look("DisARM"))
        for step in (values.index[0], values.index[-1]):
            assert is_corner(corners, step, (values.mean(axis=1) - half)[step])
            assert is_corner(corners, step, (values.mean(axis=1) + half)[step])
    curve = points[points["estimator"] == "DisARM"]
    assert set(curve["seeds"]) == {3} and curve["seed"].isna().all()
    assert len(curve) == 100 + 11 and set(curve["learning_rate"]) == {1e-3}


def test_the_best_rate_is_drawn_and_named(few):
    figure = training.draw(few)
    found = labels(figure)
    # ScoreFunction diverges at the higher rate.
    for text in ("DisARM: rate 0.001", "REBAR: rate 0.001", "ScoreFunction: rate 0.0003"):
        assert found.count(text) == 1
    assert "rate: the best learning rate" in found
    once = labels(training.draw(few[few["learning_rate"] == 1e-3]))
    assert "rate: learning rate" in once and "ScoreFunction: rate 0.001, all runs diverged" in once
    both = pd.concat([few, few[few["estimator"] == "DisARM"].assign(optimiser="SGD", value=1.0)])
    assert "DisARM: SGD, rate 0.0003" in labels(training.draw(both))


def test_diverged_runs_end_in_a_cross(few):
    """They are no part of the mean, which would jump where they leave it."""
    figure = training.draw(few[few["learning_rate"] == 1e-3])
    loss, bound = figure.axes
    rebar, score = (synthetic.look(name).colour for name in ("REBAR", "ScoreFunction"))
    # What the losses were before is above all that is shown.
    top = loss.get_ylim()[1]
    expected = [(2580, top, score), (2880, top, rebar), (3280, top, score), (3980, top, score)]
    assert crosses(loss) == expected
    last = few.query("estimator == 'REBAR' and seed == 1 and learning_rate > 9e-4 and step == 2000")
    value = last.loc[last["metric"] == "negative_bound", "value"].iloc[0]
    assert (2880, value, rebar) in crosses(bound)
    survivors = few.query("estimator == 'REBAR' and seed != 1 and learning_rate > 9e-4")
    means = survivors[survivors["metric"] == "loss"].groupby("step")["value"].mean()
    np.testing.assert_allclose(mean_curve(loss, "REBAR")[1], means)
    assert "a run that diverged" in labels(figure)
    quiet = few[few["estimator"] == "DisARM"]
    assert not any("diverged" in text for text in labels(training.draw(quiet)))
    points = training.data(few)
    end = points[(points["estimator"] == "REBAR") & (points["step"] == 2880)]
    assert end["value"].isna().all() and set(end["seed"]) == {1} and len(end) == 2


def test_a_run_that_never_had_a_loss_is_a_cross():
    row = synthetic.trained("REBAR")
    early = pd.DataFrame([row(10, "diverged", 3)])
    with pytest.raises(ValueError, match="no run has a finite loss"):
        training.draw(early)
    rows = pd.concat([early, synthetic.training({"DisARM": (104, 1000)}, 1, (1e-3,))])
    figure = training.draw(rows)
    assert_readable(figure)
    top = figure.axes[0].get_ylim()[1]
    assert crosses(figure.axes[0]) == [(3.0, top, synthetic.look("REBAR").colour)]
    assert not any("not drawn" in text for text in labels(figure))


def test_wide_bands_and_wild_runs_leave_room_for_the_means(few):
    wild = few.copy()
    wild.loc[(wild["seed"] == 0) & (wild["metric"] == "loss"), "value"] += 2000
    (low, high) = training.draw(wild.query("learning_rate > 9e-4")).axes[0].get_ylim()
    means = training.data(wild.query("learning_rate > 9e-4"))
    late = means[means["seed"].isna() & (means["step"] >= 1000)].query("panel == 'training loss'")
    spread = late["value"].max() - late["value"].min()
    assert late["value"].min() > low > late["value"].min() - spread
    assert late["value"].max() < high < late["value"].max() + spread


def test_one_panel_where_there_is_one_evaluation(few):
    single = few[(few["split"] != "validation") | (few["step"] == 10_000)]
    assert [ax.get_title() for ax in training.draw(single).axes] == ["training loss"]
    toy = few[few["split"] == "validation"].query("bound_samples == 100")
    toy = toy.assign(metric="exact_loss", split="", bound_samples=0)
    toy = pd.concat([few[few["metric"].isin(["loss", "diverged"])], toy])
    figure = training.draw(toy)
    assert [ax.get_title() for ax in figure.axes] == ["training loss", "exact loss"]
    assert {ax.get_ylabel() for ax in figure.axes} == {""}  # who knows a toy's unit


def test_a_single_seed_has_the_interval_of_its_evaluation():
    rows = synthetic.training({"DisARM": (104, 1000)}, 1, (1e-3,))
    figure = training.draw(rows)
    loss, bound = figure.axes
    look = synthetic.look("DisARM")
    x, y = mean_curve(bound, "DisARM")
    assert is_corner(bands(bound, look)[0], x[-1], y[-1] + 0.6)
    assert "95 % interval" in labels(figure)  # not of a mean over seeds


def test_two_runs_are_drawn_and_not_their_interval():
    """Student's of two seeds would fill the panel."""
    rows = synthetic.training(FEW, 2, (1e-3,), diverges=False)
    figure = training.draw(rows)
    points = training.data(rows)
    for ax, panel in zip(figure.axes, points["panel"].unique(), strict=True):
        assert not ax.collections
        look = synthetic.look("DisARM")
        thin = [line for line in ax.lines
                if line.get_color() == look.colour and line.get_linewidth() < 0.5]  # fmt: skip
        own = points.query("estimator == 'DisARM' and curve == 'run'")
        own = own[own["panel"] == panel].sort_values(["seed", "step"])
        found = np.concatenate([line.get_ydata() for line in thin])
        np.testing.assert_array_equal(found, own["value"])
        means = own.groupby("step")["value"].mean()
        np.testing.assert_allclose(mean_curve(ax, "DisARM")[1], means)
    assert "thin: the two runs of a mean" in labels(figure)
    assert not any("interval" in text for text in labels(figure))
    three = training.draw(synthetic.training(FEW, 3, (1e-3,), diverges=False))
    assert all(ax.collections for ax in three.axes)
    assert not any("thin" in text for text in labels(three))


def test_the_loss_of_a_relaxed_model_is_dotted_and_its_bound_is_not():
    name = "GumbelSoftmax[temperature=0.5]"
    rows = synthetic.training({name: (104, 1000), "DisARM": (104, 1000)}, 3, (1e-3,))
    figure = training.draw(rows)

    def dotted(ax, label):
        (line,) = (line for line in ax.lines if line.get_label() == label)
        return line._unscaled_dash_pattern == DOTS

    loss, bound = figure.axes
    assert dotted(loss, name) and not dotted(loss, "DisARM") and not dotted(bound, name)
    assert "dotted: loss of the relaxed model" in labels(figure)
    others = training.draw(rows[rows["estimator"] == "DisARM"])
    assert not any("dotted" in text for text in labels(others))


def test_the_others_are_grey():
    temperatures = {f"GumbelSoftmax[temperature={t}]": (100 + t, 900) for t in range(1, 15)}
    rows = synthetic.training(synthetic.TRAINED | temperatures, 1, diverges=False)
    figure = training.draw(rows)
    grey = {ax: [line for line in ax.lines if line.get_color() == GREY] for ax in figure.axes}
    assert {len(lines) for lines in grey.values()} == {14}
    assert "grey: 14 others, named in the CSV; in colour: the best of the table" in labels(figure)
    best = analysis.training_table(rows).frame.query("best")["estimator"][:12]
    assert {line.get_label() for line in figure.axes[0].lines} - {"_"} == set(best)


def test_what_is_not_finite_is_said(few):
    bad = few.copy()
    lost = (bad["estimator"] == "DisARM") & (bad["split"] == "validation") & (bad["seed"] == 1)
    bad.loc[lost, "value"] = np.inf
    figure = training.draw(bad)
    assert_readable(figure)
    assert "not drawn (no finite values): DisARM" in labels(figure)
    none = few[(few["estimator"] != "DisARM") | (few["metric"] == "steps_per_second")]
    assert "not drawn (no finite values): DisARM" in labels(training.draw(none))


def test_along_training_points(measured):
    points = along_training.data(measured)
    figure = along_training.draw(measured)
    assert [ax.get_ylabel() for ax in figure.axes] == ["variance (trace)", "squared bias"]
    steps = np.unique(points["step"])
    for ax, metric in zip(figure.axes, ("variance", "squared_bias"), strict=True):
        for name, line in points.groupby("measured"):
            limit = line["upper_limit"] & (metric == "squared_bias")
            expected = line[metric].where(~limit, line[f"{metric}_high"])
            expected = expected.clip(lower=ax.get_ylim()[0])
            found = np.array(drawn(ax, name))
            np.testing.assert_allclose(found[:, 1], expected)
            # Beside its step, so that bars do not hide each other, but nearer than any other.
            assert (np.abs(found[:, 0] - line["step"]) < np.diff(steps).min() / 4).all()
        assert len(arrows(ax)) == (points["upper_limit"].sum() if metric != "variance" else 0)
    value = measured.query("measured == 'REBAR' and metric == 'variance' and step == 2000")
    line = points.query("measured == 'REBAR' and step == 2000").iloc[0]
    assert (line["variance"], line["variance_low"]) == (value["value"].item(), value["low"].item())
    assert line["method"] == "REBAR" and line["upper_limit"] and line["estimator"] == "REBAR"
    # The bars and arrows of the squared bias, as in the comparison.
    estimates = points[~points["upper_limit"] & (points["squared_bias"] > 0)]
    segments = [s for c in figure.axes[1].collections if hasattr(c, "get_segments")
                for s in c.get_segments()]  # fmt: skip
    tops = sorted(segment[:, 1].max() for segment in segments)
    bars = estimates["squared_bias_high"].tolist()
    np.testing.assert_allclose([top for top in tops if top > 1e-5], sorted(bars))


def test_along_training_has_panels_for_each_group(measured):
    several = pd.concat([measured.assign(group=group) for group in ("logits", "all")])
    points = along_training.data(several)
    assert list(points["group"].unique()) == ["logits", "all"]
    assert len(points) == 2 * len(along_training.data(measured))
    figure = along_training.draw(several)
    titles = [text for ax in figure.axes if (text := ax.get_title("left"))]
    assert [title.rpartition("group ")[2] for title in titles] == ["logits", "all"]
    assert len(figure.axes) == 4
    assert_readable(figure)
    # Tables of old versions do not say it.
    old = along_training.data(measured.drop(columns="group"))
    assert set(old["group"]) == {""}


def test_along_training_says_what_it_is_of(measured):
    figure = along_training.draw(measured)
    title = figure._suptitle.get_text()
    assert "VAE[size=200]" in title and "gradient with respect to logits" in title
    above = "trained with REBAR, Adam, learning rate 0.001, seed 0"
    assert " ".join(figure.axes[0].get_title(loc="left").split()) == above
    bare = along_training.draw(measured, Page(titles=False))
    assert bare._suptitle is None and not bare.axes[0].get_title(loc="left")
    found = labels(figure)
    assert "upper 95 % limit: bias not distinguishable from zero" in found
    assert "squared norm of the true gradient" in found and "on the axis: zero" in found
    norm = [line for line in figure.axes[0].lines if line.get_color() == "0.6"][0]
    assert np.isclose(norm.get_ydata()[0], synthetic.TRUTH_NORM**2)
    bare = measured[measured["metric"] != "truth_norm"].drop(columns=["group", "samples"])
    assert "squared norm of the true gradient" not in labels(along_training.draw(bare))


def test_every_run_has_panels_of_its_own():
    rows = synthetic.along(("REBAR", "DisARM"))
    figure = along_training.draw(rows)
    assert len(figure.axes) == 4
    titles = [ax.get_title(loc="left") for ax in figure.axes[::2]]
    assert [title.split(",")[0] for title in titles] == [
        "trained with DisARM",
        "trained with REBAR",
    ]
    for row, name in enumerate(("DisARM", "REBAR")):
        own = rows[(rows["estimator"] == name) & (rows["measured"] == "ReinMax")]
        values = own.loc[own["metric"] == "variance", "value"]
        found = [y for _, y in drawn(figure.axes[2 * row], "ReinMax")]
        np.testing.assert_allclose(found, values)
    assert len([text for text in labels(figure) if text == "ReinMax"]) == 1


def test_missing_measurements(measured):
    bad = measured.copy()
    lost = (bad["measured"] == "DisARM") & (bad["metric"] == "variance") & (bad["step"] == 2000)
    bad.loc[lost, "value"] = np.inf
    figure = along_training.draw(bad)
    assert_readable(figure)
    assert "not drawn (no finite values): DisARM" in labels(figure)
    assert np.isnan([y for _, y in drawn(figure.axes[0], "DisARM")]).sum() == 1
    some = measured[measured["metric"] == "variance"].assign(low=np.nan, high=np.nan)
    figure = along_training.draw(some)
    assert_readable(figure)
    assert not any("not drawn" in text for text in labels(figure))


def test_estimators_look_as_everywhere(rows, measured):
    comparison = synthetic.comparison()
    everywhere = [
        bias_variance.draw(comparison),
        training.draw(rows),
        along_training.draw(measured),
    ]
    for name in ("REBAR", "DisARM", "ReinMax", "StraightThrough", "Exact"):
        looks = {
            (to_hex(line.get_color()), line.get_marker())
            for figure in everywhere
            for ax in figure.axes
            for line in ax.lines
            if line.get_label() == name and line.get_marker() not in ("x", "None", "")
        }
        assert len(looks) == 1, name


@pytest.mark.parametrize("name", FIGURES)
def test_bad_input_is_one_clear_error(name):
    module, make = FIGURES[name]
    rows = make()
    with pytest.raises(ValueError, match="lacks the column split, measured"):
        module.draw(rows.drop(columns=["split", "measured"]))
    with pytest.raises(ValueError, match="is empty"):
        module.draw(rows[:0])
    with pytest.raises(ValueError, match="twice"):
        module.draw(pd.concat([rows, rows]))
    with pytest.raises(ValueError, match="finite"):
        module.draw(rows.assign(value=np.nan))


def test_nothing_to_draw(few, measured):
    with pytest.raises(ValueError, match="nothing was measured during training"):
        along_training.draw(few)
    with pytest.raises(ValueError, match="holds no training run"):
        training.draw(measured)


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
    read = pd.read_csv(first[2])
    pd.testing.assert_frame_equal(read, module.data(rows), check_dtype=False, check_exact=True)


def test_rows_are_left_as_they_were(few, measured):
    for module, rows in ((training, few), (along_training, measured)):
        before = rows.copy()
        module.draw(rows)
        pd.testing.assert_frame_equal(rows, before)


def test_table_and_figure_agree(few):
    table = analysis.training_table(few).frame
    points = training.data(few).query("panel != 'training loss' and step == 10_000")
    points = points[points["seed"].isna()].set_index("estimator")
    best = table[table["best"]].set_index("estimator")
    for column, drawn_as in (("validation_bound", "value"), ("validation_bound_high", "high")):
        np.testing.assert_allclose(best[column], points[drawn_as].reindex(best.index), rtol=1e-14)
