"""The tables of a study file: those of all runs that can be in one."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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

    Runs that differ in what one table cannot hold, such as the steps of training before
    measuring, are in several; a line says in what.
    """
    found: dict[str, Sequence[Done]] = {}
    kinds: dict[str, list[list[Done]]] = {}
    for one in done:
        if one.job.table is not None:
            each = kinds.setdefault(one.job.kind, [])
            if (runs := next((runs for runs in each if _fits(one, runs)), None)) is None:
                each.append([one])
            else:
                runs.append(one)
    for kind, each in kinds.items():
        if len(each) > 1:
            differ = ", ".join(_differing([runs[0].job for runs in each]))
            say(f"{kind}: {len(each)} tables, since one cannot hold runs that differ in {differ}")
        found |= _named(kind, each)
    return found


def write(runs: Sequence[Done], path: Path) -> "tuple[pd.DataFrame, analysis.ReadableTable]":
    """Write the results of the runs of a table to a folder; return them and the table.

    Raises:
        UsageError: if the runs cannot be merged, or the folder cannot be written.
    """
    rows = merge.merged([one.path for one in runs])
    first = runs[0].job
    return rows, merge.write(rows, path, force=True, drawn=first.drawn, **(first.table or {}))


def _fits(one: Done, runs: Sequence[Done]) -> bool:
    """Return whether a run can be in a table with others, as `analysis.merging` merges them."""
    from analysis.merging import apart, of_problem_in

    def of(each: Done, free: Sequence[str] = ()) -> dict[str, Any]:
        return {key: value for key, value in _settings(each.job).items() if key not in free}

    same = [each for each in runs if of(each).get("problem") == of(one).get("problem")]
    settings = one.job.study.configuration
    return all(
        of(each) == of(one) and not apart(each.job.study.configuration, settings) for each in same
    ) and all(
        of(each, of_problem_in(one.job.kind)) == of(one, of_problem_in(one.job.kind))
        for each in runs
    )


def _settings(job: Job) -> dict[str, Any]:
    """Return the settings in which runs of one problem do not differ in a table."""
    from analysis.merging import VARYING

    about = job.study.configuration
    return {key: about[key] for key in about if key not in VARYING}


def _differing(jobs: Sequence[Job]) -> list[str]:
    """Return the settings in which the runs of several tables differ."""
    each = [_settings(job) for job in jobs]
    keys = dict.fromkeys(key for one in each for key in one)
    found = [
        key.replace("_", " ")
        for key in keys
        if any(one.get(key) != each[0].get(key) for one in each)
    ]
    return found or ["the training runs that they measure (at)"]


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
