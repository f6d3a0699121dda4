"""Verdicts on claims: against the laws that they are derived from."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import claims_table, to_markdown, to_text

INFINITE = float("inf")


def claim(value, error=1.0, low=-INFINITE, high=INFINITE, degrees=20.0, effect=1.0, **more):
    shared = {"deciding": "study", "title": "what was done", "claim": "a claim", "source": "Paper"}
    shared |= {"metric": "quantity", "region_low": low, "region_high": high, "effect": effect}
    shared |= {"confidence": 0.95, "power": 0.9}
    return shared | {"value": value, "error": error, "degrees": degrees} | more


def lines(*rows):
    return claims_table(pd.DataFrame(rows)).frame


def verdicts(*rows):
    return list(lines(*rows)["verdict"])


def test_inside_outside_and_between():
    found = verdicts(
        claim(10.0, low=0.0),
        claim(-10.0, low=0.0),
        claim(0.5, low=0.0),
        claim(0.0, error=0.01, low=-1.0, high=1.0),
        claim(5.0, error=0.1, low=-1.0, high=1.0),
        claim(0.0, error=1.0, low=-1.0, high=1.0),
        claim(-9.0, high=0.0),
        claim(np.nan, low=0.0),
    )
    yes, no, open_ = "reproduced", "not reproduced", "undecided"
    assert found == [yes, no, open_, yes, no, open_, yes, open_]


def test_what_has_no_chance_is_sure():
    rows = claim(1e-7, 0.0, high=1e-6), claim(2e-6, 0.0, high=1e-6), claim(0.0, 0.0, low=0.0)
    assert verdicts(*rows) == ["reproduced", "not reproduced", "reproduced"]


def test_many_claims_are_corrected_for():
    """Where every claim is false, of 400 tables at most 5 % give any verdict for one."""
    rng, tables, size = np.random.default_rng(0), 400, 40
    wrong = alone = 0
    for _ in range(tables):
        rows = [claim(value, low=0.0) for value in rng.standard_t(20, size)]
        table = lines(*rows)
        wrong += (table["verdict"] == "reproduced").any()
        alone += (table["value_low"] > 0).any()
    assert wrong / tables <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / tables)
    assert alone / tables > 0.5  # uncorrected intervals would have erred


@pytest.mark.parametrize("degrees", [5.0, 31.0, INFINITE])
def test_power_is_the_share_of_verdicts(degrees):
    effect, error = 4.0, 1.0
    table = lines(claim(30.0, error, low=0.0, degrees=degrees, effect=effect))
    threshold = stats.t.sf(30.0, degrees)  # the largest p-value with a verdict is its own
    rng, count = np.random.default_rng(1), 200_000
    scale = np.sqrt(rng.chisquare(degrees, count) / degrees) if np.isfinite(degrees) else 1.0
    found = stats.t.sf((rng.normal(effect, error, count)) / scale, degrees) <= threshold
    share = found.mean()
    assert abs(table["seen"][0] - share) < 4 * np.sqrt(share * (1 - share) / count) + 1e-6


def test_the_table_says_what_is_behind_a_verdict():
    rows = [claim(10.0, low=0.0), claim(0.1, low=0.0, deciding="other", claim="another")]
    frame = pd.DataFrame(rows)
    frame.attrs = {"configuration": {"budget": "laptop"}, "complete": False}
    for text in to_text(claims_table(frame)), to_markdown(claims_table(frame)):
        assert "2 claims decided by 2 studies, budget laptop, run not complete" in text
        assert "another (Paper; other)" in text and "quantity" in text and "above 0" in text
        assert "1 reproduced, 1 undecided (1 of them underpowered)" in text
    with pytest.raises(ValueError, match="lacks the column"):
        claims_table(frame.drop(columns="effect"))


def test_a_study_says_where_tuning_had_not_converged():
    rows = [claim(1.0, low=0.0, doubts="NVIL: tuning had not converged"), claim(2.0, low=0.0)]
    rows[1] |= {"deciding": "another", "doubts": ""}
    said = to_text(claims_table(pd.DataFrame(rows)))
    assert "study    what was done; NVIL: tuning had not converged" in said
    assert said.count("had not converged") == 1
    assert "had not" not in to_text(claims_table(pd.DataFrame([claim(1.0, low=0.0)])))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_table_of_claims_fits_the_terminal(width):
    words = "what a long statement claims of an estimator and of its bias " * 3
    row = claim(10.0, low=0.0, claim=words.strip(), metric="the quantity " * 3 + "that decides")
    table = claims_table(pd.DataFrame([row | {"title": words + "in its title"}]))
    text = to_text(table, width).splitlines()
    assert max(map(len, text)) <= width
    said = " ".join(" ".join(text).split())
    assert row["claim"] in said and row["metric"] in said and "in its title" in said


def test_a_note_stands_where_there_is_no_number():
    rows = claim(np.nan, INFINITE, low=0.0, note="too few events"), claim(np.nan, low=0.0, note="")
    table = lines(*rows)
    assert list(table["note"]) == [
        "too few events",
        "not a number: a run diverged, or the values do not vary",
    ]
    assert set(table["verdict"]) == {"undecided"}


@pytest.mark.parametrize("region", [{"low": 0.0}, {"high": 0.0}, {"low": -1.0, "high": 1.0}])
def test_a_quantity_of_unknown_error_is_undecided(region):
    refused = claim(10.0, INFINITE, **region, note="too few events")
    table = claims_table(pd.DataFrame([refused, claim(10.0, low=0.0, note="")]))
    frame = table.frame
    assert list(frame["verdict"]) == ["undecided", "reproduced"] and frame["seen"][0] < 0.1
    assert "(1) too few events." in to_text(table)
