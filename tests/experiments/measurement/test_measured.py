"""Every problem of the project is measured."""

import jax
import numpy as np
import pytest

from estimators import LeaveOneOut, Normal, Pathwise, ScoreFunction
from experiments import problems
from experiments.measurement import point as measurement
from experiments.measurement.point import prepare
from experiments.measurement.rows import metric_rows, seconds_row
from experiments.running.user_code import parse_problem

KEY = jax.random.key(0)
SMALL = {
    "Polynomial": "Polynomial[bits=4]",
    "Experts": "Experts[experts=3,hidden=2,batch_size=2]",
    "Explain": "Explain[selector=4,predictor=4,batch_size=2]",
    "Gates": "Gates[hidden=3,batch_size=2]",
    "SemiSupervised": "SemiSupervised[network=dense,hidden=8,size=2,batch_size=2,"
    "labelled_batch_size=2]",
    "StructuredPrediction": "StructuredPrediction[size=3,batch_size=2]",
    "VAE": "VAE[size=2,batch_size=2]",
    "VectorQuantised": "VectorQuantised[codes=3,dimension=2,hidden=2,batch_size=2]",
    "WorldModel": "WorldModel[steps=2,variables=1,classes=2,hidden=2,batch_size=2]",
}
VARIANTS = [
    "SemiSupervised[batch_size=2,labelled_batch_size=2]",
    "VAE[latent=Categorical,size=2,classes=3,kl=sampled,batch_size=2]",
    "VAE[latent=Normal,size=2,batch_size=2]",
    "VAE[size=2,prior=autoregressive,kl=sampled,batch_size=2]",
    "VAE[depth=2,size=2,batch_size=2]",
    "VAE[size=2,kl=sampled,num_samples=2,batch_size=2]",
    "VAE[size=30,batch_size=2]",
]


@pytest.mark.parametrize(
    "name",
    [SMALL.get(c.__name__, c.__name__) for c in problems.ALL]
    + [pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS],
)
def test_every_problem_is_measured(name):
    problem = parse_problem(name)
    told = []
    point = prepare(problem, KEY, train_steps=1, reference_samples=32, note=told.append)
    sampled = point.truth.blocks is not None
    assert bool(told) is sampled  # a long run reports progress
    estimator = (
        Pathwise() if isinstance(point.distribution, Normal) else ScoreFunction(LeaveOneOut(2))
    )
    if reason := problem.refusal(estimator, point.distribution):
        pytest.fail(reason)
    (blocks,) = point.draw(estimator, KEY, 32)
    evaluations = problem.evaluations(estimator, point.distribution)
    rows = {row["metric"]: row for row in metric_rows(blocks, point.truth, evaluations, 100)}
    for metric in ("squared_bias", "variance", "mse", "truth_norm"):
        assert np.isfinite(rows[metric]["value"]), metric
    assert seconds_row(point.timed(estimator), rows["mse"])["value"] > 0


def test_exact_is_timed_where_it_leaves_noise():
    """`SemiSupervised` has no exact loss, but `Exact` fits it."""
    point = prepare(
        parse_problem(SMALL["SemiSupervised"]), KEY, train_steps=0, reference_samples=32
    )
    (blocks,) = point.draw(measurement.Exact(), KEY, 32)
    assert point.timed(measurement.Exact()).min() > 0 and blocks.variance.sum() > 0


def test_an_expensive_reference_is_drawn_less(monkeypatch):
    problem = parse_problem("VAE[size=30,batch_size=2]")
    told = []
    for operations in (1e12, 1.0):
        monkeypatch.setattr(measurement, "REFERENCE_OPERATIONS", operations)
        told.append(prepare(problem, KEY, reference_samples=96).truth.blocks.count)
    assert told == [96, 64]


@pytest.mark.slow
def test_the_reference_of_the_default_problem_takes_seconds(monkeypatch):
    """A count, not a time: of the gradients drawn before the first row of `SemiSupervised`."""
    drawn = []

    def draw(self, estimator, key, num_samples, **options):
        drawn.append((str(estimator), num_samples))
        raise InterruptedError

    monkeypatch.setattr(measurement.Point, "draw", draw)
    with pytest.raises(InterruptedError):
        prepare(problems.SemiSupervised(), KEY, train_steps=0, reference_samples=8192)
    ((reference, count),) = drawn
    # Of 8,192 asked for; each takes about 2.4e9 operations.
    assert reference == "Exact" and 64 <= count <= 256


def test_a_rule_without_an_expectation_has_no_errors():
    name = "VectorQuantised[codes=3,dimension=2,hidden=2,batch_size=2,quantiser=rotation]"
    point = prepare(parse_problem(name), KEY, train_steps=0)
    (blocks,) = point.draw(ScoreFunction(), KEY, 32)
    rows = {row["metric"]: row for row in metric_rows(blocks, point.truth, 1, 100)}
    assert rows["variance"]["value"] == 0
    for metric in ("squared_bias", "mse", "equal_cost_error", "cosine_mean", "truth_norm"):
        assert np.isnan(rows[metric]["value"]) and "no E f" in rows[metric]["note"]
    assert "unbiased_p_value" not in rows and not rows["squared_bias"]["replicates"]
