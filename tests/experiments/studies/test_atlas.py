"""The atlas: its choice, and the command at the smallest scale."""

import math
from unittest import mock

import jax
import pandas as pd
import pytest

from analysis import kept_atlas
from estimators.naming import describe
from experiments import problems
from experiments.command_line import main
from experiments.measurement.point import begin
from experiments.running.results import FILE
from experiments.running.user_code import parse_estimators, parse_problem
from experiments.studies.atlas import study
from experiments.studies.atlas.choice import ESTIMATORS, POINTS, SCALES, TRAINER
from experiments.studies.atlas.predictions import PREDICTIONS
from experiments.studies.atlas.quantities import UNKNOWN, LogRatio, Share
from experiments.studies.atlas.study import atlas, cells_of
from experiments.studies.claims.atlas import studies
from experiments.studies.claims.claim import Scale
from tests.experiments.helpers.command import contents, numbers, refused

pytestmark = pytest.mark.xdist_group("atlas")

# The choice -------------------------------------------------------------------------------------


def test_the_choice_has_every_problem_and_at_most_600_cells():
    assert len(cells_of("smoke")) == 18 and len(POINTS["smoke"]) == 4
    assert len(cells_of("laptop")) <= 600
    named = {type(parse_problem(point.problem)) for point in POINTS["laptop"]}
    assert {*problems.ALL} - named == {problems.SemiSupervised}


def test_names_are_those_of_tables():
    for scale in SCALES:
        for name, cell in cells_of(scale).items():
            assert str(parse_problem(cell.point.problem)) == cell.point.problem
            assert cell.point.problem in name and f"step {cell.point.steps}" in name
    (_,) = parse_estimators([TRAINER]).estimators
    assert len(parse_estimators(ESTIMATORS).estimators) == len(ESTIMATORS)


CHEAP = [
    point
    for point in dict.fromkeys((*POINTS["smoke"], *POINTS["laptop"]))
    if parse_problem(point.problem).data() is None
]


@pytest.mark.parametrize("point", CHEAP, ids=lambda point: point.title)
def test_the_law_of_a_point_is_its_law_and_what_is_listed_fits(point):
    problem, key = parse_problem(point.problem), jax.random.key(0)
    batch = problem.batch(key, problem.data())
    params = problem.measured_params(problem.initial(key), batch)
    law = problem.distribution(params, batch)
    assert type(law).__name__ == point.law
    for cell in cells_of("laptop").values():
        if cell.point == point:
            assert problem.refusal(cell.estimator, law) is None
    # A point that lists fewer refuses the others.
    for one in parse_estimators(ESTIMATORS).estimators:
        if point in POINTS["laptop"] and isinstance(law, one.distributions):
            listed = parse_estimators(point.estimators).estimators
            fits = problem.refusal(one, law) is None
            assert fits == (str(one) in map(str, listed))


# The command ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of an interrupted and continued run, its table and its programs after."""
    out = tmp_path_factory.mktemp("atlas") / "out"
    command = ["atlas", "--budget", "smoke", "--output", str(out), "--format", "png"]
    programs = []

    def begun(*arguments):
        programs.append(len(jax.devices()[0].client.live_executables()))
        return begin(*arguments)

    with mock.patch.object(study, "begin", begun):
        assert main([*command, "--points", "Bandit", "Coupled"]) == 0
    first = pd.read_parquet(out / FILE)
    assert not first.attrs["complete"]
    assert "run not complete" in (out / "table.txt").read_text()
    assert main(command) == 0
    return out, first, programs


def test_the_programs_of_a_problem_are_let_go_of(finished):
    """Linux has room for some 20,000; a problem of the atlas has a thousand."""
    before, after = finished[-1]
    assert after <= before + 5


def test_a_run_continues_where_it_stopped(finished):
    out, first, _ = finished
    rows = numbers(out)
    assert set(first["problem"]) == {"Coupled", "Bandit"}
    assert set(rows["problem"]) == {point.problem for point in POINTS["smoke"]}
    pd.testing.assert_frame_equal(rows[: len(first)], first)
    done = rows.drop_duplicates(["problem", "step", "estimator"])
    assert len(done) == 18
    trained = rows[rows["step"] > 0]
    assert set(trained["problem"]) == {"Coupled"} and set(trained["trained_with"]) == {TRAINER}
    assert set(rows.loc[rows["step"] == 0, "trained_with"]) == {""}


def test_the_files_of_a_run(finished):
    out, *_ = finished
    assert {"atlas_map.png", "atlas_profiles.png", "atlas_ranks.png"} <= contents(out).keys()
    cells = pd.read_csv(out / "atlas_map.csv")
    assert len(cells) == 18
    text = (out / "table.txt").read_text()
    assert text.startswith("Atlas: 18 cells, 4 points of 4 problems\n")
    assert "any law (4 points)" in text and "unbiased without variance" in text


def test_the_rows_are_those_of_compare(finished, tmp_path):
    """One of them, at the same point with the same keys."""
    out, *_ = finished
    command = ["compare", "--problem", "Bandit", "--samples", "256", "--estimators"]
    command += ["ScoreFunction", "--output", str(tmp_path)]
    assert main(command) == 0
    where = {"problem": "Bandit", "estimator": "ScoreFunction", "metric": "variance"}
    (own,), (other,) = numbers(out, **where)["value"], numbers(tmp_path, **where)["value"]
    assert own == pytest.approx(other)


def test_a_finished_run_is_shown_again(finished, capsys):
    out, *_ = finished
    before = (out / FILE).read_bytes()
    assert main(["atlas", "--budget", "smoke", "--output", str(out), "--format", "png"]) == 0
    assert "already contains this run" in capsys.readouterr().err
    assert (out / FILE).read_bytes() == before


def test_bad_input(capsys, tmp_path):
    out = ["--output", tmp_path / "out"]
    line = refused(capsys, "atlas", "--points", "Bandid", *out)
    assert "no point has 'Bandid' in its name" in line
    assert "--budget" in refused(capsys, "atlas", "--budget", "paper", *out)
    assert "DisARN" in refused(capsys, "atlas", "--only", "DisARN", *out)
    assert not (tmp_path / "out").exists()


def test_the_points_are_listed(capsys):
    assert main(["atlas", "--list", "--budget", "smoke", "--points", "Coupled"]) == 0
    assert capsys.readouterr().out == "Coupled, step 20\n"


MODEL = """
import jax.numpy as jnp
from estimators import Bernoulli

def mine():
    def f(bits):
        return ((bits - 0.45) ** 2).sum()
    loss = lambda model, estimator, key, batch: estimator(key, Bernoulli(model), f)
    return loss, jnp.ones(2), None
"""


def test_diagnose_says_how_its_answer_stands(tmp_path, capsys, monkeypatch):
    (tmp_path / "model.py").write_text(MODEL)
    command = ["diagnose", f"{tmp_path / 'model.py'}:mine", "--estimators", "DisARM"]
    command += ["--samples", "64", "--output", str(tmp_path / "out"), "--format", "png"]
    monkeypatch.setattr(kept_atlas, "cells", lambda: [])
    assert main(command) == 0
    before = capsys.readouterr().out
    assert "recommended: DisARM" in before and "Atlas: " not in before
    monkeypatch.setattr(kept_atlas, "cells", lambda: [{"estimator": "DisARM", "ratio": "1.5"}])
    assert main(command) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Atlas: DisARM is within a factor of 2 of the best at 1 of the 1 points")


# Predictions ------------------------------------------------------------------------------------


def cell(problem, step, name, error, ratio=1.0, law="Bernoulli", unbiased="yes"):
    return {
        "problem": problem,
        "step": step,
        "law": law,
        "short_name": name,
        "unbiased": unbiased,
        "error": error,
        "variance": 2 * error,
        "ratio": ratio,
        "ratio_of_kind": ratio / 2,
    }


CELLS = [
    cell("P", 0, "A", 1.0, 1.0),
    cell("P", 0, "B", math.e, 3.0, unbiased="no"),
    cell("P", 9, "A", 1.0, 5.0),
    cell("P", 9, "B", math.e**3, 1.0, unbiased="no"),
    cell("Q", 0, "A", 1.0, 1.0, law="Subset"),
    cell("Q", 0, "B", 1.0, 1.0, law="Subset", unbiased="no"),
    cell("R", 0, "A", 1.0, 1.0),
    cell("R", 0, "B", 7.0, math.nan, unbiased="no"),  # not compared
]


def test_quantities_by_hand():
    # Of P, with two points, 1 and 3; of Q, 0; R has no B.
    found = LogRatio("B", "A")(CELLS)
    assert found.value == pytest.approx(1.0) and found.degrees == 1
    assert LogRatio("biased", "unbiased", "variance")(CELLS).value == pytest.approx(1.0)
    assert LogRatio("B", "A", trained=False)(CELLS).value == pytest.approx(0.5)
    assert LogRatio("B", "A", trained=True)(CELLS) == UNKNOWN  # of one problem
    assert LogRatio("B", "A", law="Subset")(CELLS) == UNKNOWN
    assert LogRatio("A", "C")(CELLS) == UNKNOWN
    # A is near at half of the points of P, and at those of Q and R.
    assert Share("A", 2.0)(CELLS).value == pytest.approx(2.5 / 3)
    assert Share("A", 2.5, of_kind=True)(CELLS).value == 1.0
    # What a file has as text.
    texts = [{name: str(value) for name, value in one.items()} for one in CELLS]
    assert LogRatio("B", "A")(texts) == found


def test_predictions_name_estimators_of_the_choice():
    chosen = parse_estimators(ESTIMATORS).estimators
    every = [
        cell(problem, 0, describe(one, positional=True), 1.0, law=law, unbiased=one.unbiased)
        for problem, law in (("P", "Bernoulli"), ("Q", "Subset"), ("R", "Subset"))
        for one in chosen
    ]
    for prediction in PREDICTIONS["laptop"]:
        assert prediction.of(every) is not UNKNOWN, prediction.text


def test_predictions_are_part_of_the_settings():
    said = atlas("laptop").configuration["predictions"]
    assert len(said) == len(PREDICTIONS["laptop"]) >= 10
    assert atlas("smoke").configuration["predictions"] == []


def test_claims_are_decided_by_cells():
    assert studies([]) == ()
    every = [
        cell(problem, step, one, error * number, 1.0 + number, law, unbiased)
        for number, one in enumerate(ESTIMATORS, 1)
        for problem, law, error in (
            ("P", "Bernoulli", 1.0),
            ("Q", "Subset", 2.0),
            ("R", "Subset", 3.0),
        )
        for step in (0, 9)
        for unbiased in ("yes" if number < 21 else "no",)
    ]
    (study,) = studies(every)
    rows = {row["metric"]: row for row in study.rows(Scale(smoke=False))}
    assert len(rows) == len(PREDICTIONS["laptop"])  # each has a name of its own
    found = rows["log ratio of errors, ARMS[4] over DisARM"]
    ratio = (ESTIMATORS.index("ARMS[4]") + 1) / (ESTIMATORS.index("DisARM") + 1)
    assert found["value"] == pytest.approx(math.log(ratio)) and found["region_high"] == 0.0
    assert rows["share of StraightThrough within 2 of the best of all"]["value"] == 0.0
