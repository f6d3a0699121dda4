"""The tables of a study file: those of all runs that can be in one."""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import analysis
from experiments.command_line import merge
from experiments.command_line.jobs import Job
from experiments.command_line.output import say
from experiments.command_line.study_file import Run, file_name

if TYPE_CHECKING:
    import pandas as pd


class Done(NamedTuple):
    """A finished run of a study file, with its results folder."""

    run: Run
    job: Job
    path: Path


def tables(done: Iterable[Done]) -> dict[str, Sequence[Done]]:
    """Return the runs of each table, by the name of its folder: a table for each kind of study.

    Runs that differ in what one table cannot hold, such as the problem, are in several; a line says
    in what.
    """
    found: dict[str, Sequence[Done]] = {}
    kinds: dict[str, dict[str, list[Done]]] = {}
    for one in done:
        if one.job.table is not None:
            kinds.setdefault(one.job.kind, {}).setdefault(_setting(one.job), []).append(one)
    for kind, each in kinds.items():
        if len(each) > 1:
            differ = ", ".join(_differing([runs[0].job for runs in each.values()]))
            say(f"{kind}: {len(each)} tables, since one cannot hold runs that differ in {differ}")
        found |= _named(kind, list(each.values()))
    return found


def write(runs: Sequence[Done], path: Path) -> "tuple[pd.DataFrame, analysis.ReadableTable]":
    """Write the results of the runs of a table to a folder; return them and the table.

    Raises:
        UsageError: if the runs cannot be merged, or the folder cannot be written.
    """
    rows = merge.merged([one.path for one in runs])
    first = runs[0].job
    return rows, merge.write(rows, path, force=True, drawn=first.drawn, **(first.table or {}))


def _setting(job: Job) -> str:
    """Return the settings in which the runs of a table do not differ, as a text."""
    from analysis.merging import VARYING

    about = job.study.configuration
    return json.dumps({key: about[key] for key in about if key not in VARYING}, sort_keys=True)


def _differing(jobs: Sequence[Job]) -> list[str]:
    """Return the settings in which the runs of several tables differ."""
    each = [json.loads(_setting(job)) for job in jobs]
    keys = dict.fromkeys(key for one in each for key in one)
    return [
        key.replace("_", " ") for key in keys if len({json.dumps(one.get(key)) for one in each}) > 1
    ]


def _named(kind: str, tables: Sequence[Sequence[Done]]) -> dict[str, Sequence[Done]]:
    """Return the runs of each table by its name: what they have in common, and others do not."""
    facts = [_common(one.run for one in runs) for runs in tables]
    shared = set.intersection(*(set(each.items()) for each in facts))
    named: dict[str, Sequence[Done]] = {}
    for runs, each in zip(tables, facts, strict=True):
        name = file_name(kind, dict(one for one in each.items() if one not in shared))
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        named[next(one for one in names if one not in named)] = runs
    return named


def _common(runs: Iterable[Run]) -> dict[str, str]:
    """Return the part and the choices that all runs have."""
    facts = [{"part": run.part, **run.choices} for run in runs]
    return {k: v for k, v in facts[0].items() if all(one.get(k) == v for one in facts)}
