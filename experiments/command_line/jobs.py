"""A study as a command runs it, with what is made of its results."""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from experiments.command_line import plan, saving, unused
from experiments.command_line.output import (
    DRAWING,
    Drawing,
    completed,
    conclude,
    concluding_files,
    folder_of,
)
from experiments.command_line.rough import Rough
from experiments.running.results import Results
from experiments.running.study import Study


def _nothing(results: Results) -> None:
    """Make nothing of the results besides the table and the figures."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A study, and what is made of its results.

    Attributes:
        study: the study.
        drawn: how figures are drawn.
        table: the choices of `analysis.studies.readable`; None for a study without a table.
        own_files: names, or patterns of names, of the files that `own` writes.
        own: writes or prints what the run has besides a table and figures, from its results.
        rough: returns how long parts take, by the time of a gradient; None if nothing does.
    """

    study: Study[Any]
    drawn: Drawing = DRAWING
    table: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)
    own_files: Sequence[str] = ()
    own: Callable[[Results], None] = _nothing
    rough: Rough | None = None

    @property
    def kind(self) -> str:
        """The kind of the study."""
        return self.study.configuration["study"]

    @property
    def files(self) -> list[str]:
        """Names, or patterns of names, of all files that are made of the results."""
        shown = [] if self.table is None else concluding_files(self.kind, self.drawn.formats)
        return [*shown, *self.own_files]


def run(given: argparse.Namespace, job: Job) -> None:
    """Run a command's job: its missing parts, its table and its figures.

    Raises:
        UsageError: if its folder or the study file to save cannot be written.
    """
    if given.dry_run:
        unused.without_effect(given, "with --dry-run", "save")
        path = folder_of(given, job.study)
        parts = plan.parts_of(job.study, path, force=given.force, rough=job.rough)
        plan.show([*plan.lines(str(path), parts), *plan.basis(parts)])
        return
    if given.save and jax.process_index() == 0:
        saving.save(given)
    with completed(given, job.study, job.files) as results:
        if jax.process_index() == 0:
            if job.table is not None:
                conclude(results, job.drawn, **job.table)
            job.own(results)
