"""Scores that a problem gives its trained model: rows, columns and curves."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import estimax
from analysis.figures import training as curves
from analysis.runs import SCORES
from analysis.studies import readable
from experiments.problems import Quadratic
from experiments.problems.problem import Turn


@dataclasses.dataclass(frozen=True)
class Scored(Quadratic):
    """Scores the more likely value of the bit."""

    def scores(self, params, key, data):
        hard = (params["logits"] > 0).astype(jnp.float32)
        return {"accuracy": 1 - jnp.mean((hard - self.target) ** 2)}


@dataclasses.dataclass(frozen=True)
class WithData(Scored):
    """Has as many numbers as its split has letters."""

    def data(self, split="train"):
        return jnp.zeros(len(split))

    def scores(self, params, key, data):
        return {"accuracy": jnp.asarray(len(data), jnp.float32)}


def trained(problem, tmp_path, **more):
    names = ["Exact", "ScoreFunction"]
    return estimax.train(problem, names, steps=40, output=tmp_path / "out", **more)


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_problem_without_data_is_scored_once(tmp_path, seeds):
    rows = trained(Scored(), tmp_path, seeds=seeds, evaluations=2).frame
    scores = rows[rows["metric"] == "accuracy"]
    assert set(scores["split"]) == {""}
    assert len(scores) == 2 * seeds * 2
    assert set(scores["value"].round(4)) <= {round(1 - 0.45**2, 4), round(1 - 0.55**2, 4)}
    table = readable(rows)
    assert "accuracy" in [column.title for column in table.columns]
    assert table.frame["accuracy"].notna().all()
    assert "exact loss" in set(curves.data(rows)["panel"])


def test_a_problem_with_data_is_scored_on_each_split(tmp_path):
    rows = trained(WithData(), tmp_path).frame
    scores = rows[rows["metric"] == "accuracy"].drop_duplicates("split")
    found = dict(zip(scores["split"], scores["value"], strict=True))
    assert found == {"validation": 10.0, "test": 4.0}


@dataclasses.dataclass(frozen=True)
class Game(Scored):
    """Each run has an opponent of its own."""

    @property
    def turns(self):
        return (Turn(self.loss), Turn(lambda *arguments: -self.loss(*arguments)))


@dataclasses.dataclass(frozen=True)
class Drawn(Scored):
    """Draws minibatches."""

    def batch(self, key, data):
        return jax.random.normal(key)


@pytest.mark.parametrize("problem", [Game(), Drawn()], ids=str)
def test_the_objective_of_a_game_or_of_a_minibatch_ranks_no_scored_model(problem, tmp_path):
    rows = trained(problem, tmp_path).frame
    assert {"accuracy", "loss"} <= set(rows["metric"]) and "exact_loss" not in set(rows["metric"])
    assert readable(rows).frame["accuracy"].notna().all()


def test_a_table_is_sorted_by_how_good_models_are_before_what_they_use():
    order = list(SCORES)
    for good in ("error", "distortion"):
        assert order.index(f"test_{good}") < order.index("test_usage")


def test_scores_are_compiled_once(tmp_path):
    calls = []

    @dataclasses.dataclass(frozen=True)
    class Counted(Scored):
        def scores(self, params, key, data):
            calls.append(isinstance(params["logits"], jax.core.Tracer))
            return super().scores(params, key, data)

    trained(Counted(), tmp_path, seeds=2, evaluations=3)
    assert calls == [True]
