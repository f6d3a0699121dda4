"""The union of the results of several runs of a study."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from analysis.files import FORMAT
from analysis.matching import ROUNDING, prepared
from analysis.rows import configuration
from analysis.schema import IDENTITY, SETTING, TIMES

VARYING = (
    *("estimators", "temperatures", "seed", "seeds", "samples", "learning_rates", "optimiser"),
    *("measured", "measured_steps", "group", "coordinates", "user_code", "at"),
)
"""The settings in which merged runs may differ: each is a column of the rows, or in their names.

Of the checkpoints of `--at`, see `apart`.
"""

_OF_PROBLEM = {
    **dict.fromkeys(("compare", "temperature"), ("problem", "train_steps", "tuning_steps")),
    "train": (
        *("problem", "steps", "log_steps", "evaluations", "splits", "bound_samples"),
        *("evaluation_examples", "tuning_steps"),
    ),
}
"""The settings in which merged runs of different problems may differ besides, by study."""

_OF_PLACE = ("run", "trained_with", "step", "seed")
"""What is said of a checkpoint besides the settings of its run."""

_MACHINE = ("platform", "devices")
"""What may differ of the environments: it changes the rounding of numbers only."""

_EXACT = ("samples", "evaluations")
_FREE = (*TIMES, "unbiased_p_value")
"""Metrics that differ between runs of the same; p-values, by rounding of what they are of."""


def merged(
    tables: Sequence[pd.DataFrame], names: Sequence[str] = (), *, mixed: bool = False
) -> pd.DataFrame:
    """Return the union of the results of runs of a study, as one table with its metadata.

    A row that several runs have is kept once. Its numbers must be the same, to rounding. Of those,
    and of times, the smallest are kept, so that the numbers do not depend on the order of the
    tables. Merging is associative, and a table that is there already changes nothing.

    The metadata are those of the runs, as lists where they differ; `sources` are the metadata of
    each run. If all are of the same run (its parts were computed in several folders), so is the
    union, which can be continued. It is complete if each run is.

    Args:
        tables: tidy tables, with the metadata of their results files in `attrs`.
        names: what the tables are called in errors.
        mixed: whether runs of different code or versions may be merged.

    Raises:
        ValueError: if the tables are of different studies or of figures, differ in a setting other
            than `VARYING` (of different problems, and `of_problem_in`), in code or versions, or in
            the numbers of a row.
    """
    names = names or [f"table {number}" for number in range(1, len(tables) + 1)]
    study = _check_settings(tables, names)
    found = [source for rows in tables for source in sources(rows.attrs)]
    unique = list({json.dumps(source, sort_keys=True): source for source in found}.values())
    if not mixed:
        _check_environments(unique)
    union = _union(tables, names, study)
    union.attrs = _metadata(tables[0].attrs["configuration"], unique, union)
    return union


def sources(about: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Return the metadata of each run in a results file, from the metadata of the file.

    Args:
        about: metadata as those of `analysis.reading.read`.
    """
    given = about["configuration"]
    of_problem = {name: given[name] for name in of_problem_in(given["study"]) if name in given}
    if "sources" in about:
        return [
            one | {"configuration": of_problem | one["configuration"]} for one in about["sources"]
        ]
    own = {name: given.get(name) for name in VARYING}
    return [
        {
            "identity": about["identity"],
            "complete": about["complete"],
            "configuration": {
                **of_problem,
                **{name: value for name, value in own.items() if value is not None},
            },
            "environment": dict(about.get("environment", {})),
            "provenance": dict(about["provenance"]),
        }
    ]


def of_problem_in(study: str) -> tuple[str, ...]:
    """Return the settings in which merged runs of a study may differ if their problems do."""
    return _OF_PROBLEM.get(study, ())


def _check_settings(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> str:
    """Return the study that all tables are of; raise ValueError if they differ in a setting."""
    first = configuration(tables[0])
    study = first["study"]
    if study not in IDENTITY:
        raise ValueError(f"the results of a {study} cannot be merged, only those of a study")
    known: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for name, rows in zip(names, tables, strict=True):
        free = (*VARYING, *of_problem_in(study))
        _check_same(first, configuration(rows), names[0], name, free)
        for source in sources(rows.attrs):
            own = source["configuration"]
            others = known.setdefault(json.dumps(own.get("problem")), [])
            for other, settings in others:
                _check_same(settings, own, other, name, VARYING)
                if said := apart(settings, own):
                    raise ValueError(f"{other} and {name} differ in their {said}")
            others.append((name, own))
    return study


def apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Return in which checkpoints two measurements of a problem differ; "" if in none.

    They may be at other runs, steps and seeds. Values are averaged over the seeds of runs of one
    name, as by `compare --at A B`, so these must differ in their seeds alone; and a name with a
    seed must be one run.

    Args:
        first: the settings of one.
        second: the settings of the other.
    """
    of_both = [settings.get("at") or [] for settings in (first, second)]
    places = [place for each in of_both for place in each]
    if len({bool(each) for each in of_both}) > 1 or not all(
        isinstance(place, Mapping) for place in places
    ):
        return "checkpoints (--at)"
    known: dict[str, Any] = {}
    for place in places:
        name, seed = place.get("trained_with"), place.get("seed")
        more = {key: place[key] for key in place if key not in _OF_PLACE}
        facts = ([name], more), ([name, seed], place.get("run"))
        if any(known.setdefault(json.dumps(key), value) != value for key, value in facts):
            shown = f"trained with {name}, seed {seed}" if name else f"seed {seed}"
            return f"training runs (--at), whose names are the same: {shown}"
    return ""


def _check_same(
    a: Mapping[str, Any], b: Mapping[str, Any], one: str, other: str, free: Sequence[str]
) -> None:
    """Raise ValueError if settings of two results differ, except in those that are free."""
    for key in dict.fromkeys((*a, *b)):
        x, y = a.get(key), b.get(key)
        if key not in free and x != y:
            key = key.replace("_", " ")
            if isinstance(x, dict | list) or isinstance(y, dict | list):
                raise ValueError(f"{one} and {other} differ in their {key}")
            raise ValueError(f"their {key} is {x} ({one}) and {y} ({other})")


def _check_environments(found: Sequence[Mapping[str, Any]]) -> None:
    for name in dict.fromkeys(name for one in found for name in one["environment"]):
        values = dict.fromkeys(str(one["environment"].get(name, "unknown")) for one in found)
        if len(values) > 1 and name not in _MACHINE:
            raise ValueError(
                f"they were computed with different {name}: {', '.join(values)} (--mixed merges "
                "them nevertheless)"
            )


def _union(tables: Sequence[pd.DataFrame], names: Sequence[str], study: str) -> pd.DataFrame:
    bare = []
    for rows in tables:
        rows = rows.reset_index(drop=True)
        rows.attrs = {}  # pandas compares and copies them at every step
        bare.append(rows)
    rows = pd.concat(bare, ignore_index=True)
    if "trained_with" in rows:  # of some problems only
        rows["trained_with"] = rows["trained_with"].fillna("")
    for name in rows.columns:  # as `Results.table` writes them
        if name.startswith(SETTING) and infer_dtype(rows[name]) in ("mixed", "mixed-integer"):
            rows[name] = rows[name].map(str, na_action="ignore")
    found = []
    for name, one in zip(names, bare, strict=True):
        side = prepared(one, IDENTITY[study]).assign(source=name)
        # Rows of a published table are told apart by their order alone.
        found.append(side.assign(place=side.groupby(list(IDENTITY[study])).cumcount()))
    keyed = pd.concat(found, ignore_index=True)
    keys = [*IDENTITY[study], "place"]
    if study != "reproduce" and (keyed["place"] > 0).any():
        first = keyed[keyed["place"] > 0].iloc[0]
        raise ValueError(f"{first['source']} holds a row twice: {_described(first, keys)}")
    _check_numbers(keyed, keys)
    keyed["first"] = keyed.groupby(keys, sort=False).ngroup()
    keyed = keyed.sort_values(["first", "value", "low", "high"], kind="stable")
    kept = keyed[~keyed["first"].duplicated()]
    # What was skipped by one run may have been measured by another.
    by = [name for name in IDENTITY[study] if name != "metric"]
    measured = kept.loc[kept["metric"] != "skipped", by]
    has_numbers = pd.MultiIndex.from_frame(kept[by]).isin(pd.MultiIndex.from_frame(measured))
    kept = kept[(kept["metric"] != "skipped") | ~has_numbers]
    return rows.loc[kept.index].reset_index(drop=True)


def _check_numbers(keyed: pd.DataFrame, keys: Sequence[str]) -> None:
    """Raise ValueError if rows of one identity have different numbers."""
    repeated = keyed[keyed.duplicated(list(keys), keep=False) & ~keyed["metric"].isin(_FREE)]
    groups = repeated.groupby(list(keys), sort=False)
    allowed = ROUNDING * groups["scale"].transform("max").fillna(0.0)
    for name in ("value", "low", "high", *_EXACT):
        least, most = groups[name].transform("min"), groups[name].transform("max")
        missing = groups[name].transform("count")
        known = missing.between(1, groups[name].transform("size") - 1)
        apart = (most - least).where(most != least, 0.0)  # infinities
        clash = repeated[known | (apart > (0.0 if name in _EXACT else allowed))]
        if len(clash):
            one = clash.iloc[0]
            same = repeated[(repeated[list(keys)] == one[list(keys)]).all(axis=1)]
            # A missing number is unlike any.
            other = same[same[name].fillna(-np.inf) != np.nan_to_num(one[name], nan=-np.inf)].iloc[
                0
            ]
            raise ValueError(
                f"they have different numbers for {_described(one, keys)}: {name} {one[name]:g} "
                f"({one['source']}) and {other[name]:g} ({other['source']})"
            )


def _described(row: pd.Series, keys: Sequence[str]) -> str:
    """Return the columns that identify a row, as text."""
    texts = [row[name] for name in keys if isinstance(row[name], str) and row[name]]
    numbers = [f"{name} {row[name]:g}" for name in ("seed", "step") if row.get(name, 0) > 0]
    return ", ".join([*texts, *numbers])


def _metadata(
    first: Mapping[str, Any], found: Sequence[dict[str, Any]], rows: pd.DataFrame
) -> dict[Any, Any]:
    identities: dict[str, bool] = {}
    for one in found:
        identities[one["identity"]] = one["complete"] or identities.get(one["identity"], False)
    about = {
        "format": FORMAT,
        "identity": next(iter(identities)) if len(identities) == 1 else _digest(identities),
        "complete": all(identities.values()) or _covers(first, rows),
        "environment": _joined([one["environment"] for one in found]),
        "configuration": _settings(first, [one["configuration"] for one in found]),
        "provenance": _joined([one["provenance"] for one in found]),
    }
    return about | ({"sources": list(found)} if len(found) > 1 else {})


def _digest(identities: Mapping[str, bool]) -> str:
    return hashlib.sha256(json.dumps(sorted(identities)).encode()).hexdigest()[:12]


def _covers(about: Mapping[str, Any], rows: pd.DataFrame) -> bool:
    """Return whether the rows hold all parts that the settings list."""
    if about["study"] == "claims":
        parts, done = about.get("claims"), rows["deciding"]
    elif about["study"] == "reproduce":
        is_done = rows["stage"].isin(["final", "skipped", "failed"])
        parts, done = about.get("cells"), rows.loc[is_done, "cell"]
    elif about["study"] == "atlas":
        parts = dict.fromkeys(about.get("cells", ()))
        done = rows["problem"] + ": " + rows["short_name"] + ", step " + rows["step"].map(str)
    else:
        return False
    return isinstance(parts, dict) and parts.keys() <= set(done)


def _settings(first: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of all runs: united lists, and lists of values that differ."""
    varying = (*VARYING, *of_problem_in(first["study"]))
    known = {name: [one[name] for one in found if name in one] for name in varying}
    settings = {name: value for name, value in first.items() if name not in varying}
    for name in (*(name for name in first if name in varying), *varying):
        if name in settings or not known[name]:
            continue
        values = known[name]
        if any(isinstance(value, list) for value in values):
            each = (value if isinstance(value, list) else [value] for value in values)
            settings[name] = _distinct(one for value in each for one in value)
        else:
            distinct = _distinct(values)
            settings[name] = distinct[0] if len(distinct) == 1 else distinct
    return settings


def _joined(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the properties of all runs, with different values of one in a single text."""
    joined: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in found for name in one):
        values = _distinct(one[name] for one in found if one.get(name) is not None)
        if values and all(isinstance(value, dict) for value in values):
            joined[name] = _joined(values)
        elif len(values) == 1:
            joined[name] = values[0]
        else:
            joined[name] = "; ".join(map(str, values))
    return joined


def _distinct(values: Any) -> list[Any]:
    """Return values without repetitions, which need not be hashable."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
