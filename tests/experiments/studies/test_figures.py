"""Figures of the papers: what they are computed from, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from estimators import GumbelSoftmax, ScoreFunction
from experiments.command_line import main
from experiments.problems import VAE, StructuredPrediction
from experiments.running.progress import Progress
from experiments.running.study import run
from experiments.statistics import Estimate
from experiments.studies.figures import FIGURES, build, integrality
from experiments.studies.figures.lattice import lattice
from experiments.studies.figures.predictions import Prediction
from experiments.studies.figures.study import figure_study
from experiments.system.errors import UsageError
from experiments.system.folder import Folder

pytestmark = pytest.mark.xdist_group("figures")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Return the rows of a figure's smoke test, computed once."""
    found = {}

    def of(name):
        if name not in found:
            study, _ = build(name, "smoke")
            results = study.open(Folder(tmp_path_factory.mktemp(name)))
            with Progress(len(study.parts), silent=True) as progress:
                run(study, results, progress)
            assert results.complete
            found[name] = results
        return found[name].table()

    return of


QUICK = ("relaxed-samples", "densities")


@pytest.mark.draws
@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FIGURES],
)
def test_a_figure_is_drawn_from_its_rows(name, rows):
    from analysis import figures

    table = rows(name)
    study, drawn_by = build(name, "smoke")
    module = figures.named(drawn_by)
    data = module.data(table)
    done = table["task" if "task" in table else "estimator"]
    assert len(data) and len(set(done)) >= len(study.parts)
    module.draw(table)
    with pytest.raises(ValueError, match="lacks the column"):
        module.data(table[["study"]])
    scales = [build(name, scale).study.configuration for scale in ("smoke", "laptop")]
    assert scales[0] != scales[1]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_by_a_module(name):
    from analysis import figures

    for scale in ("smoke", "laptop"):
        study, drawn_by = build(name, scale)
        assert study.name == name and study.parts
        assert callable(figures.named(drawn_by).draw)


@pytest.mark.draws
def test_the_command_leaves_three_files_and_does_not_run_twice(tmp_path, capsys):
    command = ["figure", "relaxed-samples", "--budget", "smoke", "--output", str(tmp_path)]
    assert main([*command, "--device", "cpu"]) == 0
    names = {path.name for path in tmp_path.iterdir()} - {".estimax"}
    endings = ("pdf", "png", "csv")
    assert names == {"results.parquet", *(f"relaxed-samples.{end}" for end in endings)}
    written = (tmp_path / "results.parquet").stat().st_mtime_ns
    assert main(command) == 0
    assert "already contains this run" in capsys.readouterr().err
    assert (tmp_path / "results.parquet").stat().st_mtime_ns == written


@pytest.mark.draws
def test_a_smoke_run_says_that_it_decides_no_prediction(tmp_path, capsys, monkeypatch):
    def predicted(name, scale):
        study, drawn_by = build(name, scale)
        one = Prediction("one is large", "ours", lambda rows: Estimate(1.0, 1.0, 1.0), low=0.5)
        return figure_study(name, "a title", drawn_by, {}, study.parts, [one])

    monkeypatch.setattr("experiments.command_line.figure.build", predicted)
    command = ["figure", "relaxed-samples", "--budget", "smoke", "--output", str(tmp_path)]
    assert main([*command, "--device", "cpu"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "one is large (ours) held" in said and "this one is too small to decide them" in said
    assert "too small" in (tmp_path / "table.md").read_text()


def test_unknown_figures_are_refused(capsys):
    assert main(["figure", "densitie", "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "unknown figure 'densitie' (did you mean 'densities'?); choose from relaxed-s" in said
    with pytest.raises(UsageError):
        build("nothing")


def test_lattice_is_inside():
    points = lattice(5, 0.01)
    assert points.shape == (15, 3) and points.min() == 0.01
    np.testing.assert_allclose(points.sum(1), 1)


def test_means_go_from_the_probabilities_to_uniform(rows):
    table = rows("relaxed-samples").query("kind == 'mean'")
    wide = table.pivot(index="temperature", columns="class", values="value")
    weights = np.array([1, 2, 5, 8, 4, 2, 1])
    chances = weights / weights.sum()
    error = np.sqrt(chances * (1 - chances) / 1024)
    assert (np.abs(wide.loc[0.0] - chances) < 4 * error).all()
    distance = np.abs(wide - 1 / 7).sum(axis=1)
    assert distance.loc[0.1:].is_monotonic_decreasing and distance.loc[10.0] < 0.1
    assert abs(distance.loc[0.1] - distance.loc[0.0]) < 0.1
    np.testing.assert_allclose(wide.sum(axis=1), 1, atol=1e-5)


def test_densities_are_densities(rows):
    table = rows("densities")
    for (panel, temperature), part in table.groupby(["panel", "temperature"]):
        if panel.startswith("binary"):
            order = part.sort_values("x")
            mass = np.trapezoid(order["value"], order["x"])
            # Of the part between the least and the greatest x, which holds almost all.
            odds = float(panel.rpartition(" ")[2])
            edge = 7.0 * temperature
            held = 1 / (1 + np.exp(-(edge - np.log(odds)))) - 1 / (1 + np.exp(edge + np.log(odds)))
            assert abs(mass - held) < 0.03
    at_one = table.query("panel == 'binary, odds 1' and temperature == 1")
    np.testing.assert_allclose(at_one["value"], 1, rtol=1e-4)  # the uniform distribution
    seven = table.query("panel == 'seven classes'")
    assert (
        seven.sort_values("y").groupby(["temperature", "x"])["value"].diff().dropna() >= 0
    ).all()


@pytest.mark.slow
def test_variance_falls_with_evaluations(rows):
    """That of independent samples as 1 / n; without replacement faster."""
    table = rows("variance-by-evaluations").query("metric == 'variance'")
    for _, part in table.groupby("logit"):
        wide = part.pivot(index="evaluations", columns="name", values="value")
        alone = wide["with replacement"]
        halves = part.query("name == 'with replacement' and evaluations == 2")
        assert (halves["low"] < 1.25 * alone[1] / 2).all()
        assert (halves["high"] > 0.8 * alone[1] / 2).all()
        assert wide.loc[3, "without replacement: unordered set"] < alone[3]


def test_more_steps_and_less_temperature_have_less_bias_and_more_variance(rows):
    table = rows("diffusion-steps")
    wide = table.pivot(
        index=["name", "p_num_steps", "p_temperature"], columns="metric", values="value"
    )
    for name in ("diffusion", "diffusion, cosine", "diffusion, straight-through"):
        few, many = wide.loc[name].sort_index().iloc[0], wide.loc[name].sort_index().iloc[-1]
        assert many["squared_bias"] < few["squared_bias"] / 2
        assert many["variance"] > 4 * few["variance"]
    for name in ("Gumbel-softmax", "straight-through Gumbel-softmax"):
        cold, warm = wide.loc[name].sort_index().iloc[0], wide.loc[name].sort_index().iloc[-1]
        assert cold["squared_bias"] < warm["squared_bias"] / 2
        assert cold["variance"] > 4 * warm["variance"]


@pytest.mark.slow
def test_gumbel_rao_has_less_variance_everywhere(rows):
    table = rows("gumbel-rao-simplex")
    # A ratio of two variances of 512 draws of skewed gradients is good to a tenth or two.
    assert table["value"].min() > -0.3
    means = table.groupby("temperature")["value"].mean()
    assert means.is_monotonic_decreasing and means.iloc[0] > 0.2


def test_traces_go_where_their_gradients_point(rows):
    table = rows("gradient-traces")
    true = table.query("name == 'true gradient'")
    for p0, part in true.groupby("p0"):
        wide = part.pivot(index="step", columns="metric", values="value")
        s = wide["probability"]
        np.testing.assert_allclose(wide["gradient"], (1 - 2 * p0) * s * (1 - s), atol=1e-6)
        np.testing.assert_allclose(
            wide["objective"], s * (1 - p0) ** 2 + (1 - s) * p0**2, rtol=1e-6
        )
        logit = np.log(s / (1 - s))
        np.testing.assert_allclose(np.diff(logit), wide["gradient"].iloc[:-1], atol=1e-5)
        arm = table[(table["name"] == "DisARM") & (table["p0"] == p0)]
        arm = arm[arm["metric"] == "probability"].set_index("step")["value"]
        assert np.abs(arm - s).max() < 0.1


@pytest.mark.parametrize("graph", [ScoreFunction(), GumbelSoftmax(0.5)], ids=str)
def test_graphs_are_evaluated_on_every_image(graph):
    """Where the pixels ignore the bits, the loss is that of their biases: the last batch counts."""
    problem = StructuredPrediction(size=2)
    params = problem.initial(jax.random.key(0))
    layer = params["decoder"]["layers"][0]
    params["decoder"]["layers"][0] = layer | {"kernel": jnp.zeros_like(layer["kernel"])}
    images = problem.examples(jax.random.key(0), problem.data("test")[:210])
    chance = 1 / (1 + np.exp(-np.asarray(layer["bias"], np.float64)))
    lower = np.asarray(images, np.float64)[:, 392:]
    expected = -np.log(np.where(lower > 0.5, chance, 1 - chance)).sum(1).mean()
    keys = jax.random.split(jax.random.key(1), 2)
    found = integrality.mean_loss(problem, params, graph, images, keys)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_the_discrete_graph_falls_behind_at_high_temperatures(rows):
    table = rows("integrality-gap")
    wide = table.pivot(index=["temperature", "seed"], columns="graph", values="value")
    gap = (wide["discrete"] - wide["continuous"]).unstack()
    assert (gap.loc[16.0] > 5).all() and gap.loc[16.0].mean() > 2 * gap.loc[0.2].mean()


@pytest.mark.slow
def test_pictures_of_both_models_are_there(rows):
    table = rows("vae-pictures")
    found = table.groupby(["problem", "picture"])[["row", "column", "y", "x"]].nunique()
    wide = {"samples": [2, 16], "reconstructions": [2, 16]}
    for problem, changes in (("VAE[size=50]", 16), ("VAE[latent=Categorical,size=20]", 11)):
        for picture, shape in (wide | {"traversals": [4, changes]}).items():
            assert found.loc[(problem, picture)].tolist() == [*shape, 28, 28]
    shown = table.query("picture == 'reconstructions' and row == 0")
    for _, pixels in shown.groupby("problem"):
        images = pixels.sort_values(["column", "y", "x"])["value"].to_numpy().reshape(16, 784)
        np.testing.assert_array_equal(images, VAE().data("test")[:16])
