"""The study of refined latent vectors: what refining does, and its predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from experiments.problems import Rounding
from experiments.studies.figures import build, rounding
from experiments.studies.figures.predictions import TASK


def test_the_temperature_is_the_paper_s():
    found = [float(rounding.temperature(jnp.float32(step), 2000)) for step in (0, 700, 1700, 2000)]
    expected = [min(0.5, 0.5 * np.exp(-1e-3 * (t - 700))) for t in (0, 700, 1700, 2000)]
    assert found == pytest.approx(expected, rel=1e-5)


def test_refining_descends_any_objective():
    """Each image on its own: a mean over images has the steps of each image alone."""
    problem = Rounding(images=3)

    def objective(problem, latents, key, images):
        return jnp.mean(jnp.abs(latents - 2.0).sum(-1))

    found = rounding.refine(problem, objective, 20, 0.05)
    start = problem.initial(jax.random.key(0))["latent"]
    assert found.shape == (11, 3, 10)
    np.testing.assert_array_equal(found[0], start)
    moved = np.asarray(start - found[1]) * np.sign(start - 2.0)
    np.testing.assert_allclose(moved, 0.1, atol=2e-3)


def test_nearest_integers_are_never_better_than_the_best():
    study = build("rounding", "smoke").study
    rows = pd.DataFrame(study.parts[rounding.NEAREST](lambda done: None))
    assert len(rows) == 20 and rows["value"].min() > -1e-3 and rows["value"].max() > 1


def ends(name, gaps, rate=5e-3):
    rows = [{"number": n, "value": gap} for n, gap in enumerate(gaps)]
    return [row | {"name": name, "learning_rate": rate} for row in rows]


def found(text, rows):
    (prediction,) = (one for one in rounding.PREDICTIONS if text in one.text)
    return prediction.of(rows)


def test_predictions_follow_from_rows():
    assert build("rounding").study.parts[TASK] == rounding.PREDICTIONS
    rows = ends(rounding.SGA, [0.0, 1, 2]) + ends(rounding.SGA, [5.0, 5, 5], 2e-2)
    rows += ends(rounding.NOISE, [2.0, 3, 4])
    rows += ends(rounding.IDENTITY, [1.0, 1, 1], 1e-3) + ends(rounding.IDENTITY, [4.0, 4, 4], 2e-2)
    assert found("additive noise", rows).high == pytest.approx(-2)
    assert found("needs a small step", rows).value == -3
    assert found("crosses integers", rows).value == 1
    assert np.isnan(found("DisARM", rows).value)
