"""Columns and footnotes of the readable table of a training study."""

from collections.abc import Iterator

import pandas as pd

from analysis.column import Column

_NAME = Column("estimator", ("", "estimator"), "estimator", "name")
_OPTIMISER = Column("optimiser", ("", "optimiser"), "optimiser", "word")
_RATE = Column("learning rate", ("learning", "rate"), "learning_rate", "rate")
_FINAL = (
    Column("negative test bound", ("negative", "test bound"), "test_bound", "estimate"),
    Column("negative test ELBO", ("negative", "test ELBO"), "test_elbo", "estimate"),
    Column("exact loss", ("exact", "loss"), "exact_loss", "estimate"),
    Column("test accuracy", ("test", "accuracy"), "test_accuracy", "estimate"),
    Column("negative validation bound", ("negative", "val. bound"), "validation_bound", "estimate"),
    Column("negative validation ELBO", ("negative", "val. ELBO"), "validation_elbo", "estimate"),
    Column("validation accuracy", ("val.", "accuracy"), "validation_accuracy", "estimate"),
    Column("negative training bound", ("negative", "train bound"), "train_bound", "estimate"),
    Column("negative training ELBO", ("negative", "train ELBO"), "train_elbo", "estimate"),
    Column("training accuracy", ("train", "accuracy"), "train_accuracy", "estimate"),
    Column("training loss", ("training", "loss"), "loss", "estimate"),
)
# Papers report both on test images; elsewhere the tighter bound is enough.
_INSTEAD = {"validation_elbo": "validation_bound", "train_elbo": "train_bound"}
_RUNS = (
    Column("seeds", ("", "seeds"), "seeds", "count"),
    Column("diverged: at step", ("diverged:", "at step"), "diverged", "diverged"),
    Column("steps per second", ("steps", "per s"), "steps_per_second", "speed"),
)


def columns(table: pd.DataFrame) -> Iterator[Column]:
    """Yield the columns of a training table, with those final figures that it has."""
    yield _NAME
    if table.attrs["optimiser"] is None:  # otherwise the heading names it
        yield _OPTIMISER
    yield _RATE
    there = {column.field for column in _FINAL if table[column.field].notna().any()}
    for column in _FINAL:
        if column.field in there and _INSTEAD.get(column.field) not in there:
            yield column
    for column in _RUNS:
        if table[column.field].any():
            yield column


def footnotes(table: pd.DataFrame) -> list[str]:
    """Return footnotes that explain the columns of a training table."""
    shown = {column.field: column.title for column in columns(table)}
    samples = table.attrs["bound_samples"].items()
    bounds = [f"{count:,} ({split})" for split, count in samples if f"{split}_bound" in shown]
    lines = [
        "Means over the seeds that did not diverge, after their last step, with 95 % intervals: "
        "Student's over seeds; of a single seed, that of its own evaluation."
    ]
    if any(field.endswith(("_bound", "_elbo")) for field in shown):
        counts = f" Samples of a bound: {', '.join(bounds)}." if bounds else ""
        lines.append(f"Bounds and ELBOs are in nats per image, lower is better.{counts}")
    if "loss" in shown:
        lines.append("Training loss: the mean over the steps between the last two logged.")
    if "steps_per_second" in shown:
        lines.append("Steps per second: summed over all runs of the estimator's batch.")
    if (table["best"] & (table["tried"] > 1)).any():
        criterion = shown.get(table.attrs["chosen_by"], "share of runs that diverged")
        lines.append(f"*: the best learning rate of its estimator, by {criterion}.")
    return lines
