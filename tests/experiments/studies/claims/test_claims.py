"""Claims and the studies that decide them."""

import dataclasses
import math

import jax
import numpy as np
import pandas as pd
import pytest

import analysis
from estimators import ARM, NVIL, DisARM, Exact, ScoreFunction, StraightThrough
from experiments.command_line import main
from experiments.optimisers import SGD
from experiments.problems.toy import Coupled, Quadratic
from experiments.statistics import Estimate, jackknife
from experiments.studies.claims import STUDIES, Scale
from experiments.studies.claims.claim import above, between
from experiments.studies.claims.measurements import Measurements
from experiments.studies.claims.quantities import angle, length_along, of_variances, share
from experiments.studies.claims.toys import CustomToy
from experiments.studies.claims.training_runs import TrainingRuns
from tests.experiments.helpers.drawn import blocks_of
from tests.experiments.studies.claims.test_claims_mutants import COMPARISONS, MUTANTS

pytestmark = pytest.mark.xdist_group("claims")

QUICK = ("relaxed-mean", "straight-through-identities", "constant-shift")


def test_there_are_claims_enough_and_each_is_one():
    claims = [claim for study in STUDIES for claim in study.claims]
    assert len(STUDIES) >= 30 and len(claims) >= 40
    assert len({study.name for study in STUDIES}) == len(STUDIES)
    assert len({claim.statement for claim in claims}) == len(claims)
    assert all(claim.source and claim.region.effect > 0 for claim in claims)


def test_the_table_of_claims_finds_every_name():
    """Without computation: the columns of the table, and the quantities that tests refer to."""
    measured = Estimate.student(0.5, 0.1, 31)

    def uncomputed(study):
        claims = (dataclasses.replace(one, estimate=lambda _: measured) for one in study.claims)
        return dataclasses.replace(study, prepare=lambda scale: None, claims=tuple(claims))

    rows = [row for study in STUDIES for row in uncomputed(study).rows(Scale(smoke=True))]
    table = analysis.claims_table(pd.DataFrame(rows)).frame
    assert len(table) == len(rows) and table["verdict"].notna().all()
    named = {(study.name, one.quantity) for study in STUDIES for one in study.claims}
    assert {(mutant.study, name) for mutant in MUTANTS for name in mutant.breaks} <= named
    assert COMPARISONS <= {name for _, name in named}


def test_one_name_is_one_quantity():
    for study in STUDIES:
        quantities = {(one.quantity, one.estimate) for one in study.claims}
        assert len(dict(quantities)) == len(quantities), study.name


def test_regions_of_which_no_claim_can_be_decided_are_refused():
    with pytest.raises(ValueError, match="is empty"):
        between(1.0, 1.0)
    with pytest.raises(TypeError, match="effect"):
        above(0.0)
    assert between(-1.0, 3.0) == (-1.0, 3.0, 2.0)


@pytest.mark.parametrize(
    "study",
    [
        study if study.name in QUICK else pytest.param(study, marks=pytest.mark.slow)
        for study in STUDIES
    ],
    ids=lambda study: study.name,
)
def test_a_study_finds_what_its_claims_need(study):
    rows = study.rows(Scale(smoke=True))
    assert [row["claim"] for row in rows] == [claim.statement for claim in study.claims]
    for row in rows:
        assert math.isfinite(row["value"]) and row["error"] >= 0 and row["degrees"] > 0


@pytest.fixture(scope="module")
def coupled():
    return Measurements(Scale(smoke=False), Coupled(), 1 << 15)


def test_bias_is_seen_where_it_is(coupled):
    none, some = coupled.bias(DisARM())(0.1), coupled.bias(StraightThrough())(0.0)
    assert abs(none.value) < 4 * none.error < 0.1
    blocks, truth = coupled(StraightThrough()), coupled.truth
    whole = np.linalg.norm(blocks.mean - truth.mean) / np.linalg.norm(truth.mean)
    assert some.value > 10 * some.error and abs(some.value - whole) < 4 * some.error + 0.01 * whole
    assert coupled.bias(Exact())(0.1) == Estimate.student(0.0)


def test_ratios_of_variances(coupled):
    ratio = coupled.ratio(DisARM(), ARM())
    plain = np.log(coupled(DisARM()).variance.sum() / coupled(ARM()).variance.sum())
    assert ratio.value == pytest.approx(plain, rel=1e-4) and ratio.value < -4 * ratio.error
    same = coupled.ratio(ARM(), ARM())
    assert (same.value, same.error) == (0.0, 0.0)  # common noise, to the bit


def test_direction_and_length(coupled):
    turned, long = (
        angle(coupled(DisARM()), coupled.truth),
        length_along(coupled(DisARM()), coupled.truth),
    )
    assert (
        abs(turned.value) < 4 * turned.error < 0.01 and abs(long.value - 1) < 4 * long.error < 0.1
    )
    assert angle(coupled(StraightThrough()), coupled.truth).value > 0.01


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=32)
    without = (values.sum() - values) / 31
    light = blocks_of(np.random.default_rng(1).normal(size=(1024, 1)))
    found = of_variances(np.concatenate([[values.mean()], without]), light)
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(32))
    assert found.degrees == 31


def test_traces_leave_blocks_out(coupled):
    blocks = coupled(DisARM())
    found = jackknife.traces(blocks)
    assert found[0] == pytest.approx(blocks.variance.sum(), rel=1e-5)
    assert found[1:].mean() == pytest.approx(found[0], rel=1e-3) and np.ptp(found[1:]) > 0


def test_no_success_leaves_a_doubt():
    assert share(np.zeros(100)).value == 0 and 0 < share(np.zeros(100)).error < 0.03


def test_runs_share_their_seeds_and_follow_the_gradient():
    training = TrainingRuns(Quadratic(0.45, 0.0), 203, 0.1, 3, SGD(momentum=0.0))
    first, again = (training.exact_losses(Scale(smoke=False), DisARM()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert training.run(Scale(smoke=False), DisARM())[1].shape == (3, 203)
    # d E f / d logit = 0.1 s (1 - s): plain descent, step by step.
    logit = 0.0
    for _ in range(203):
        s = 1 / (1 + math.exp(-logit))
        logit -= 0.1 * 0.1 * s * (1 - s)
    s = 1 / (1 + math.exp(-logit))
    exact = s * 0.55**2 + (1 - s) * 0.45**2
    assert training.exact_losses(Scale(smoke=False), Exact()) == pytest.approx(
        [exact] * 3, rel=1e-5
    )


def test_caveats_of_a_study_are_taken_once():
    scale = Scale(smoke=True)
    measured = Measurements(scale, Coupled(), 64)
    measured(ScoreFunction(NVIL()))
    assert (
        scale.take_caveats()
        == "ScoreFunction[baseline=NVIL]: tuning had not converged after 20 steps"
    )
    measured(ScoreFunction(NVIL()))
    measured(DisARM())
    assert scale.take_caveats() == ""


def test_custom_toys_have_their_logits_and_f():
    problem = CustomToy(lambda z: z.sum(), np.zeros((2, 3)))
    params = problem.initial(jax.random.key(0))
    assert problem.distribution(params, None).event_shape == (2, 3)
    assert float(problem.exact_loss(params, None)) == pytest.approx(2.0)


def test_the_command(tmp_path, capsys):
    command = ["claims", "--budget", "smoke", "--only", "constant", "--device", "cpu"]
    command += ["--output", str(tmp_path)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "A constant added to f does not change DisARM" in said and "run not complete" in said
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        "results.parquet",
        *(f"table.{end}" for end in ("txt", "md", "csv", "tex")),
    }
    assert main(command) == 0
    assert "constant-shift (done before)" in capsys.readouterr().err


def test_the_command_lists_and_refuses(capsys):
    assert main(["claims", "--list", "--only", "gapped", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("gapped-variance: ") and "from -inf to 0, effect 0.1" in said
    assert "confidence 0.95, power 0.9" in said and "concrete" not in said
    assert main(["claims", "--only", "nothing", "--device", "cpu"]) == 2
    assert "no study has 'nothing' in its name" in capsys.readouterr().err
    for empty in ("", " "):  # which every name has in it
        assert main(["claims", "--only", "gapped", empty, "--list", "--device", "cpu"]) == 2
        assert "--only: must not be empty" in capsys.readouterr().err
