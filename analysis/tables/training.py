"""The table of training runs."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis import formats
from analysis.budgets import at, reached, spent, written
from analysis.columns import COUNT, ESTIMATE, NAME, WORD, Column, Form, Kind, number
from analysis.names import short_names
from analysis.readable import ReadableTable
from analysis.rows import (
    TRAINING_CONTEXT,
    heading,
    is_complete,
    links,
    notes,
    only_context,
    without_skipped,
)
from analysis.runs import BOUNDS, LINE, OWN, RUN, SCORES, points, read, scores_in, trained
from analysis.schema import METRICS
from analysis.statistics.seeds import over_seeds
from analysis.statistics.ties import may_be_least
from analysis.tables.first import first_at_parts
from analysis.units import Against

# Learning rates are chosen by the first of these in a table, never on test images.
_CHOOSING = tuple(
    name
    for name in ("validation_bound", "validation_elbo", "exact_loss", *OWN, *SCORES)
    if not name.startswith(("test_", "train_"))
)


def _rate(line: pd.Series, field: str, _: Form) -> str:
    mark = " *" if line["best"] and line["tried"] > 1 else ""
    return formats.setting(line[field]) + mark


def _diverged(line: pd.Series, field: str, _: Form) -> str:
    """Write how many seeds diverged, and when: `0`, `1: 120`, `all: 120-480`."""
    if not line[field]:
        return "0"
    first, last = (f"{line[f'{field}_{end}']:,.0f}" for end in ("first", "last"))
    many = "all" if line[field] == line["seeds"] else line[field]
    return f"{many}: {last}" if first == last else f"{many}: {first}-{last}"


def _own(split: str = "", short: str = "") -> list[Column]:
    """Return the columns of the scores that problems give their models, on a split."""
    field = {"training": "train"}.get(split, split)
    columns = []
    for name in OWN:
        word, metric = name.replace("_", " "), METRICS[name]
        unit = f" ({metric.unit})" if metric.unit else ""
        said = f"{word[0].upper()}{word[1:]}: {metric.meaning}{unit}."
        about = "" if name == "accuracy" else said
        title, lines = f"{split} {word}".strip(), (short or split, word)
        columns.append(Column(title, lines, f"{field}_{name}".strip("_"), ESTIMATE, about))
    return columns


_ESTIMATOR = Column("estimator", ("", "estimator"), "short_name", NAME)
_OPTIMISER = Column("optimiser", ("", "optimiser"), "optimiser", WORD)
_RATE = Column("learning rate", ("learning", "rate"), "learning_rate", Kind(_rate, "setting"))
_FINAL = (
    Column("negative test bound", ("negative", "test bound"), "test_bound", ESTIMATE),
    Column("negative test ELBO", ("negative", "test ELBO"), "test_elbo", ESTIMATE),
    Column("exact loss", ("exact", "loss"), "exact_loss", ESTIMATE),
    *_own(),
    *_own("test"),
    Column("negative validation bound", ("negative", "val. bound"), "validation_bound", ESTIMATE),
    Column("negative validation ELBO", ("negative", "val. ELBO"), "validation_elbo", ESTIMATE),
    *_own("validation", "val."),
    Column("negative training bound", ("negative", "train bound"), "train_bound", ESTIMATE),
    Column("negative training ELBO", ("negative", "train ELBO"), "train_elbo", ESTIMATE),
    *_own("training", "train"),
    Column("training loss", ("training", "loss"), "loss", ESTIMATE),
)
TITLES = {column.field: column.title for column in _FINAL}
"""The titles of the scores."""

# Papers report both on test images; other splits need only the tighter bound.
_INSTEAD = {"validation_elbo": "validation_bound", "train_elbo": "train_bound"}
_DIVERGED = Column(
    "diverged: at step", ("diverged:", "at step"), "diverged", Kind(_diverged, "setting")
)
_RUNS = (
    Column("seeds", ("", "seeds"), "seeds", COUNT),
    Column(
        "steps per second",
        ("steps", "per s"),
        "steps_per_second",
        number(lambda value: formats.plain(value, digits=3)),
    ),
)


class Compared(NamedTuple):
    """Training runs and what they have reached.

    Attributes:
        runs: from `analysis.runs.trained`, with what each has `spent`.
        scores: the points of each score, of the runs that did not diverge.
        budget: the largest that all of these have reached.
        last: the last points of each score by then, without the scores of `late`.
        late: the scores that some runs have only later.
        lines: those of `training_table`, without the places at parts of the budget.
        skipped: why estimators were, by name.
    """

    runs: pd.DataFrame
    scores: Mapping[str, pd.DataFrame]
    budget: float
    last: Mapping[str, pd.DataFrame]
    late: Sequence[str]
    lines: pd.DataFrame
    skipped: Mapping[str, str]


def compared(rows: pd.DataFrame, against: Against = "steps") -> Compared:
    """Return the runs of a training study, compared at the budget that all have reached.

    Args:
        rows: as for `training_table`.
        against: as for `training_table`.

    Raises:
        ValueError: as `training_table`.
    """
    rows = read(rows)
    runs, (_, skipped) = trained(rows), without_skipped(rows)
    if runs.empty and not skipped:
        raise ValueError("the result table holds no training run")
    runs = runs.assign(spent=spent(runs, against))
    finished = runs[runs["diverged_at"].isna()]
    scores = {name: points(finished, score) for name, score in scores_in(runs).items()}
    budget = reached(finished)
    last = {name: at(chosen, budget) for name, chosen in scores.items()}
    late = [name for name in scores if _is_late(scores[name], last[name], last["loss"])]
    last |= {name: last[name][:0] for name in late}
    return Compared(runs, scores, budget, last, late, _sorted(_lines(runs, last)), skipped)


def training_table(rows: pd.DataFrame, against: Against = "steps") -> ReadableTable:
    """Return the estimators of a training study at each learning rate, best first.

    Runs are compared at the largest budget that all of them have reached, each by its last value at
    or below it; notes say which estimator is first at parts of that budget.

    Lines are sorted by the first of these that the table contains: test bound, test ELBO, exact
    loss, test accuracy, ..., training loss. Lines with only diverged runs come last.

    Args:
        rows: a tidy table of training runs of one context (`analysis.contexts` splits several).
        against: what the budget is of: "steps", "evaluations" of f, or "seconds".

    Returns:
        One line per `estimator`, `optimiser` and `learning_rate`: `best`: whether it is the best of
        the estimator's `tried` lines; `method`, `unbiased`, hyperparameters; `seeds`, how many of
        them `diverged`, from step `diverged_first` to `diverged_last`; the final metrics, each with
        `_low` and `_high`, as means over the seeds that did not diverge: `test_bound` (with the
        most samples in the table), `test_elbo`, `validation_bound`, `validation_elbo`,
        `train_bound` and `train_elbo`, negative and in nats per example, `exact_loss`,
        `test_accuracy`, `validation_accuracy`, `train_accuracy`, further scores of the problem,
        `loss` (training);
        `steps_per_second`; at each part of the budget (`eighth`, `quarter`, `half`, `whole`), the
        score by which estimators are ranked, and whether the line is "first" or "tied" with that,
        as `eighth_place`; `note`.

        Intervals are 95 %: Student's t over seeds, or for a single seed that of its row. The best
        learning rate has the smallest fraction of diverged runs; ties are broken by the lowest
        validation bound, else validation ELBO, exact loss, validation error or training loss.

    Raises:
        ValueError: if the table is empty, lacks a column, holds several contexts, no run, or a
            metric of a run twice; or does not say what was spent.
    """
    runs, scores, budget, last, late, lines, skipped = compared(rows, against)
    finished = runs[runs["diverged_at"].isna()]
    steps = finished.groupby(list(LINE))["step"].max()
    optimisers = list(lines["optimiser"].unique())
    optimiser = optimisers[0] if len(optimisers) == 1 else None
    # Sorted, so that the columns do not depend on the order of the lines.
    shown = tuple(final_columns(lines, is_told=optimiser is not None))
    choosing = [name for name in _CHOOSING if name in scores]
    chosen_by = next((name for name in choosing if lines[name].notna().any()), None)
    samples = {
        SCORES[name].split: int(chosen["bound_samples"].iloc[0])
        for name, chosen in last.items()
        if SCORES[name].metric == "negative_bound" and len(chosen)
    }
    relaxed = runs.loc[runs["relaxes"] == 1, "estimator"].unique() if "relaxes" in runs else ()
    first = first_at_parts(lines, scores, budget, against, choosing, TITLES, relaxed)
    context = only_context(rows, TRAINING_CONTEXT)
    table = lines.drop(columns="note").join(first.columns).assign(note=lines["note"])
    compared_at = written(budget, against) if len(finished) else "the last step"
    return ReadableTable(
        frame=table,
        columns=shown,
        heading=heading(
            context,
            complete=is_complete(rows),
            optimiser=optimiser,
            steps=(int(steps.min()), int(steps.max())) if len(steps) else None,
            seeds=(int(lines["seeds"].min()), int(lines["seeds"].max())) if len(lines) else None,
            compared_at="" if against == "steps" else compared_at,
        ),
        notes=[
            *_footnotes(table, shown, samples, chosen_by, compared_at),
            *_on_budget(
                runs, against, [TITLES[name] for name in late], len(rows.attrs.get("sources", ()))
            ),
            *first.notes,
        ],
        skipped={short_names(rows)[name]: reason for name, reason in skipped.items()},
        context=context,
        settings={f"{split}_bound_samples": count for split, count in samples.items()}
        | ({"against": against, **first.settings} if first.settings else {}),
    )


def _is_late(chosen: pd.DataFrame, last: pd.DataFrame, losses: pd.DataFrame) -> bool:
    """Return whether some runs had no value of a score by the budget, but had one of the loss."""
    has_value, had_value, had_loss = (
        set(part[list(RUN)].itertuples(index=False, name=None)) for part in (chosen, last, losses)
    )
    return bool((has_value - had_value) & had_loss)


def _on_budget(
    runs: pd.DataFrame, against: Against, late: Sequence[str], sources: int
) -> list[str]:
    """Return the sentences on a budget that is not of steps, and on what it leaves out."""
    found = []
    if against == "evaluations":
        found.append("Evaluations of f: per example of the minibatch, of all steps so far.")
    if against == "seconds":
        found.append("Seconds: of training steps alone, without compilation and evaluation.")
        sizes = sorted(map(int, runs["batch_runs"].dropna().unique()))
        if sizes and sizes[-1] > 1:
            many = " or ".join(f"{size:,}" for size in sizes)
            found.append(
                "The runs of an estimator are one program, whose seconds are divided by their "
                f"number ({many}): a run by itself takes another time."
            )
        if sources > 1:
            found.append("Runs of several results: their seconds may be of different machines.")
    if late:
        found.append(
            f"Not compared, for runs without a value by then: {', '.join(late)} (--evaluations N "
            "evaluates during training)."
        )
    return found


def _lines(runs: pd.DataFrame, scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one line per estimator, optimiser and learning rate, in the order of the rows."""
    each = runs.drop_duplicates(list(RUN)).groupby(list(LINE), sort=False)
    hyperparameters = [c for c in runs if isinstance(c, str) and c.startswith("p_")]
    facts = ["method", "unbiased", *links(runs), *hyperparameters]
    lines = runs.groupby(list(LINE), sort=False)[facts].first()
    lines["seeds"] = each.size()
    lines["diverged"] = each["diverged_at"].count()
    lines["diverged_first"] = each["diverged_at"].min()
    lines["diverged_last"] = each["diverged_at"].max()
    for name, chosen in scores.items():
        if chosen.empty:
            lines[[name, f"{name}_low", f"{name}_high"]] = math.nan
            lines[f"{name}_tied"] = False
            continue
        means = over_seeds(chosen, LINE)
        for kind, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            lines[name + suffix] = means[kind].astype(float)
        seeds = chosen.pivot(index=list(LINE), columns="seed", values="value")
        sign = -1.0 if SCORES[name].higher_is_better else 1.0
        lines[f"{name}_tied"] = may_be_least(sign * lines[name], sign * seeds.reindex(lines.index))
    speeds = runs[runs["metric"] == "steps_per_second"]
    lines["steps_per_second"] = speeds.groupby(list(LINE))["value"].mean()
    said = notes(runs[runs["metric"] != "diverged"], LINE)
    lines["note"] = said.reindex(lines.index).fillna("")
    lines = lines.reset_index()
    lines.insert(1, "short_name", lines["estimator"].map(short_names(runs)))
    return lines


def _sorted(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the lines with `best` and `tried`, best line first."""
    failed = lines["diverged"] == lines["seeds"]
    # Fewest diverged first, since the mean of the remaining runs is too optimistic.
    share = lines["diverged"] / lines["seeds"]
    choice = sorted(lines.index, key=lambda i: (share[i], _rank(lines.loc[i], _CHOOSING)))
    is_known = lines[[name for name in SCORES if name in lines]].notna().any(axis=1)
    best = ~lines.loc[choice, "estimator"].duplicated() & ~failed & is_known
    order = sorted(lines.index, key=lambda i: (failed[i], _rank(lines.loc[i], SCORES)))
    lines.insert(4, "best", best)
    lines.insert(5, "tried", lines.groupby("estimator")["estimator"].transform("size"))
    return lines.loc[order].reset_index(drop=True)


def _rank(line: pd.Series, names: Iterable[str]) -> tuple[int, float]:
    """Return a sort key from the first score that a line has, smaller is better."""
    for place, name in enumerate(names):
        if math.isfinite(line.get(name, math.nan)):
            return place, -line[name] if SCORES[name].higher_is_better else line[name]
    return len(SCORES), 0.0


def final_columns(lines: pd.DataFrame, *, is_told: bool) -> Iterator[Column]:
    """Yield the columns, including the final metrics that the lines contain.

    Args:
        lines: the lines.
        is_told: whether the optimiser is in the heading.
    """
    yield _ESTIMATOR
    if not is_told:
        yield _OPTIMISER
    yield _RATE
    fields = [column.field for column in _FINAL if column.field in lines]
    there = {field for field in fields if lines[field].notna().any()}
    final = [c for c in _FINAL if c.field in there and _INSTEAD.get(c.field) not in there]
    yield from final[:1]
    if lines["diverged"].any():  # which matters more than further figures of the other runs
        yield _DIVERGED
    yield from final[1:]
    for column in _RUNS:
        if lines[column.field].any():
            yield column


def _footnotes(
    lines: pd.DataFrame,
    columns: Iterable[Column],
    samples: Mapping[str, int],
    chosen_by: str | None,
    compared_at: str,
) -> list[str]:
    shown = {column.field: column.title for column in columns}
    bounds = [
        f"{count:,} ({split})" for split, count in samples.items() if f"{split}_bound" in shown
    ]
    found = [
        f"Means over the seeds that did not diverge, after {compared_at}, with 95 % intervals: "
        "Student's t over seeds, or for a single seed, that of its evaluation."
    ]
    if any(field in SCORES and SCORES[field].metric in BOUNDS for field in shown):
        counts = f" Samples per bound: {', '.join(bounds)}." if bounds else ""
        found.append(f"Bounds and ELBOs are in nats per example, lower is better.{counts}")
    if "loss" in shown:
        found.append("Training loss: the mean over the last logging interval.")
    if "steps_per_second" in shown:
        found.append("Steps per second: summed over all runs of the estimator's batch.")
    if (lines["best"] & (lines["tried"] > 1)).any():
        criterion = shown.get(chosen_by or "", "fraction of runs that diverged")
        found.append(f"*: the best learning rate of its estimator, by {criterion}.")
    return found
