"""The union of the results of several runs."""

import functools
import itertools

import numpy as np
import pandas as pd
import pytest

from analysis import schema
from analysis.merging import merged
from analysis.studies import readable
from tests.analysis.helpers import synthetic_atlas
from tests.analysis.helpers import synthetic_rows as synthetic
from tests.analysis.test_hostile_folders import studies

ENVIRONMENT = {"jax": "1", "code": "abc", "platform": "cpu", "devices": "2"}


def results(rows, identity, study="compare", *, environment=ENVIRONMENT, complete=True, **settings):
    rows = rows.copy()
    rows.attrs = {
        "format": 1,
        "identity": identity,
        "complete": complete,
        "environment": environment,
        "configuration": {"study": study, "budget": 100.0, **settings},
        "provenance": {"command": f"estimax of {identity}", "versions": {"jax": "1"}},
    }
    return rows


ROWS = synthetic.comparison()
NAMES = list(synthetic.ESTIMATORS)


def job(identity, estimators, seed=0, **more):
    rows = ROWS[ROWS["estimator"].isin(estimators)].assign(seed=seed)
    return results(rows, identity, seed=seed, estimators=list(estimators), **more)


def values(rows):
    """The numbers of a table, whatever the order of its rows and columns."""
    keys = ["estimator", "seed", "metric"]
    numbers = rows[[*keys, "value", "low", "high", "samples", "evaluations", "note"]]
    return numbers.sort_values(keys, ignore_index=True)


A, B, C = job("a", NAMES[:4]), job("b", NAMES[2:7]), job("c", NAMES[1:5], seed=1)


def test_what_several_runs_have_is_kept_once():
    union = merged([A, B])
    whole = ROWS[ROWS["estimator"].isin(NAMES[:7])]
    pd.testing.assert_frame_equal(values(union), values(whole))
    assert union.attrs["configuration"]["estimators"] == NAMES[:7]
    assert union.attrs["configuration"]["seed"] == 0
    assert merged([A, B, C]).attrs["configuration"]["seed"] == [0, 1]
    assert [source["identity"] for source in union.attrs["sources"]] == ["a", "b"]
    assert union.attrs["provenance"]["command"] == "estimax of a; estimax of b"
    assert union.attrs["provenance"]["versions"] == {"jax": "1"}


def test_merging_is_associative_and_idempotent():
    whole = merged([A, B, C])
    for other in (
        merged([merged([A, B]), C]),
        merged([A, merged([B, C])]),
        merged([whole, A, merged([whole, B])]),
        merged([whole]),
    ):
        pd.testing.assert_frame_equal(other, whole, check_exact=True)
        assert other.attrs == whole.attrs
    alone = merged([A, A])
    pd.testing.assert_frame_equal(alone, A.reset_index(drop=True))
    assert alone.attrs == A.attrs


def test_the_order_does_not_change_the_numbers():
    """Where runs differ, in rounding or in times, the same numbers are kept."""
    rng = np.random.default_rng(0)

    def shaken(rows):
        found = rows.copy()
        size = np.where(rows["metric"] == "seconds", 0.5, 1e-6)
        found["value"] *= 1 + size * rng.uniform(-1, 1, len(rows))
        return found

    several = [shaken(A), shaken(A), shaken(B)]
    first, *others = (merged(list(order)) for order in itertools.permutations(several))
    for other in others:
        pd.testing.assert_frame_equal(values(other), values(first), check_exact=True)
        assert other.attrs["identity"] == first.attrs["identity"]
    times = [rows.loc[rows["metric"] == "seconds", "value"].iloc[0] for rows in several[:2]]
    assert first.loc[first["metric"] == "seconds", "value"].iloc[0] == min(times)


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("value", 42.0, "and 42 (b)"),
        ("high", np.nan, "and nan (b)"),
        ("samples", 999, "samples 1000 (a) and 999 (b)"),
        ("evaluations", 77, "evaluations 1 (a) and 77 (b)"),
    ],
)
def test_other_numbers_of_a_row_are_refused(column, value, shown):
    row = B.index[(B["estimator"] == NAMES[2]) & (B["metric"] == "variance")][0]
    other = B.copy()
    other[column] = other[column].astype(float)
    other.loc[row, column] = value
    with pytest.raises(ValueError, match="different numbers for .*variance") as error:
        merged([A, C, other], ["a", "c", "b"])
    said = str(error.value)
    assert NAMES[2] in said and f"{column} " in said and shown in said and "\n" not in said
    with pytest.raises(ValueError, match="different numbers"):
        merged([other, A])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"train_steps": 3}, "their train steps is None .one. and 3 .two."),
        ({"notes": ["x"]}, "one and two differ in their notes"),
        ({"study": "diagnose"}, "their study is compare .one. and diagnose .two."),
        ({"environment": ENVIRONMENT | {"jax": "2"}}, "different jax: 1, 2 .--mixed"),
        ({"environment": ENVIRONMENT | {"code": "def"}}, "different code: abc, def"),
        ({"environment": {}}, "different jax: 1, unknown"),
    ],
)
def test_other_runs_are_refused(more, says):
    with pytest.raises(ValueError, match=says):
        merged([A, job("z", NAMES[8:9], **more)], ["one", "two"])


def test_other_machines_are_merged_and_other_versions_if_asked_for():
    other = ENVIRONMENT | {"platform": "gpu", "devices": "1"}
    union = merged([A, job("z", NAMES[8:9], environment=other)])
    assert union.attrs["environment"]["platform"] == "cpu; gpu"
    mixed = merged([A, job("z", NAMES[8:9], environment=other | {"jax": "2"})], mixed=True)
    assert mixed.attrs["environment"]["jax"] == "1; 2"


def test_parts_of_one_run_are_that_run():
    parts = [job("a", NAMES[:4], complete=False)] * 2
    halves = [
        rows[rows["estimator"].isin(some)]
        for rows, some in zip(parts, (NAMES[:2], NAMES[2:4]), strict=True)
    ]
    for rows in halves:
        rows.attrs = parts[0].attrs
    union = merged(halves)
    pd.testing.assert_frame_equal(values(union), values(A))
    assert union.attrs == parts[0].attrs  # it can be continued
    assert merged([*halves, A]).attrs["complete"]
    assert not merged([B, *halves]).attrs["complete"]


def test_what_one_run_skipped_another_may_have_measured():
    skipped = ROWS[ROWS["metric"] == "skipped"].assign(estimator=NAMES[0]).head(1)
    other = results(skipped, "s", seed=0, estimators=NAMES[:1])
    for order in [A, other], [other, A]:
        assert not (merged(order)["metric"] == "skipped").any()
    both = merged([other, job("b", NAMES[1:2])])
    assert (both["metric"] == "skipped").sum() == 1


def made(study):
    rows = studies()[study]
    if study == "claims":
        rows = pd.concat([rows.assign(deciding=name) for name in ("one", "two")], ignore_index=True)
    return rows


@pytest.mark.parametrize("study", ["compare", "temperature", "train", "reproduce", "claims"])
def test_every_study(study):
    """Parts of a table, in any two folders, are the table."""
    rows = made(study)
    settings = {"budget": "laptop"} if study in ("claims", "reproduce") else {}
    of = functools.partial(results, study=study, **settings)
    by = {"reproduce": "cell", "claims": "deciding"}.get(study, "estimator")
    names = rows[by].dropna().unique()
    some = rows[by].isin(names[::2])
    always = rows["stage"].isin(["published", "prediction"]) if study == "reproduce" else False
    union = merged([of(rows[some | always], "x"), of(rows[~some | always], "y")])
    assert len(union) == len(rows)
    whole = of(rows, "z")
    fields = [column.field for column in readable(whole).columns]
    tables = [readable(found).frame[fields] for found in (union, whole)]
    first = fields[:2]
    pd.testing.assert_frame_equal(
        *(table.sort_values(first, kind="stable", ignore_index=True) for table in tables)
    )


def test_every_study_says_what_identifies_its_rows():
    assert set(schema.IDENTITY) == set(schema.STUDIES) - {"figure"}
    for study, columns in schema.IDENTITY.items():
        assert set(columns) <= set(schema.STUDIES[study])


def test_halves_of_an_atlas_complete_it():
    whole = synthetic_atlas.rows({("P", 0): {"A": 1.0, "C": 2.0}, ("Q", 3): {"A": 1.0}})
    settings = {"budget": 100.0, "cells": ["P: A, step 0", "P: C, step 0", "Q: A, step 3"]}
    of = functools.partial(results, study="atlas", complete=False, **settings)
    halves = [of(part, "a") for _, part in whole.groupby("problem")]
    assert merged(halves).attrs["complete"] and not merged(halves[:1] * 2).attrs["complete"]


def test_parts_that_cover_a_study_complete_it():
    rows = made("claims")
    names = rows["deciding"].unique()
    settings = {"claims": dict.fromkeys(names, [])}
    of = functools.partial(results, study="claims", complete=False, **settings)
    halves = [of(rows[rows["deciding"].isin(some)], some[0]) for some in (names[:1], names[1:])]
    assert merged(halves).attrs["complete"] and not merged(halves[:1] * 2).attrs["complete"]


def test_what_cannot_be_merged():
    figure = results(ROWS, "f", "figure")
    with pytest.raises(ValueError, match="of a figure cannot be merged"):
        merged([figure, figure])
    with pytest.raises(ValueError, match="two holds a row twice: .*squared_bias"):
        twice = pd.concat([A, A])
        twice.attrs = A.attrs
        merged([A, twice], ["one", "two"])
    with pytest.raises(ValueError, match="is empty"):
        empty = A.iloc[:0]
        merged([A, empty])


def test_settings_of_several_kinds_are_text():
    one, two = job("a", NAMES[:1], seed=0), job("b", NAMES[1:2], seed=0)
    one["p_baseline"], two["p_baseline"] = 0.5, "LeaveOneOut"
    union = merged([one, two])
    assert set(union["p_baseline"]) == {"0.5", "LeaveOneOut"}
    with_more = merged([union, job("c", NAMES[2:3])])
    assert with_more["p_baseline"].isna().any()
