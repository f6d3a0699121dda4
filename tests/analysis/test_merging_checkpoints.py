"""Merged measurements at the checkpoints of several training runs (`--at`)."""

import itertools

import pandas as pd
import pytest

import analysis
from analysis.merging import merged
from analysis.studies import readable
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_merging import results

RECIPE = {"optimiser": "Adam", "learning_rate": 0.01}


def measured(run, seed=0, name="DisARM", steps=(0, 100), **recipe):
    """The results of a measurement at steps of a training run."""
    places = [{"trained_with": name, "step": step, "seed": seed} for step in steps]
    parts = [synthetic.comparison(seed=seed).assign(**place) for place in places]
    at = [{"run": run, **place, **RECIPE, **recipe} for place in places]
    rows = pd.concat(parts, ignore_index=True)
    return results(rows, f"{run}-{seed}-{steps}", problem="Quadratic", seed=seed, at=at)


def test_runs_that_differ_in_their_seeds_are_averaged_as_by_one_command():
    parts = [measured(f"run{seed}", seed) for seed in range(3)]
    union = merged(parts)
    assert [place["seed"] for place in union.attrs["configuration"]["at"]] == [0, 0, 1, 1, 2, 2]
    table = readable(union)
    assert list(table.frame["place"].unique()) == ["step 0", "step 100"]
    assert "3 seeds" in table.heading
    together = pd.concat(parts, ignore_index=True)
    own = analysis.comparison_table(together[together["step"] == 100])
    block = table.frame[table.frame["place"] == "step 100"]
    assert list(block["estimator"]) == list(own.frame["estimator"])
    assert list(block["variance_high"]) == list(own.frame["variance_high"])
    # In any order, and again.
    for order in itertools.permutations(parts):
        assert len(merged([*order, union])) == len(union)


def test_further_steps_and_estimators_of_training_have_blocks_of_their_own():
    union = merged(
        [measured("a", steps=(0,)), measured("a", steps=(100,)), measured("b", name="REBAR")]
    )
    places = list(readable(union).frame["place"].unique())
    assert places == [
        f"trained with {name}, step {step}" for name in ("DisARM", "REBAR") for step in (0, 100)
    ]


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (
            measured("b"),
            "training runs .--at., whose names are the same: trained with DisARM, seed 0",
        ),
        (measured("b", steps=(7,)), "training runs .--at."),
        (measured("b", 1, learning_rate=0.1), "training runs .--at."),
        (measured("b", 1, schedules="learning_rate=Cosine"), "training runs .--at."),
    ],
    ids=["run", "run at another step", "learning rate", "schedules"],
)
def test_other_runs_of_one_name_are_refused(other, says):
    for pair in ([measured("a"), other], [other, measured("a")]):
        with pytest.raises(ValueError, match=f"and .* differ in their {says}"):
            merged(pair)
    # Also if one of them is merged itself.
    with pytest.raises(ValueError, match="differ in their"):
        merged([merged([measured("a"), measured("c", 2)]), other])


def test_parameters_trained_for_the_measurement_are_not_merged_with_checkpoints():
    plain = results(synthetic.comparison(), "plain", problem="Quadratic", seed=0, at=[])
    with pytest.raises(ValueError, match="differ in their checkpoints"):
        merged([plain, measured("a")])
