"""Studies that measure estimators one after the other, at one point of a problem."""

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from estimators import Estimator, stack
from experiments.measurement.point import Row, estimator_columns, metric_rows
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.comparison.settings import CompareSettings


@dataclasses.dataclass(frozen=True)
class PointStudy(Study[Estimator]):
    """Bias, variance, error and cost of estimators at one point, under common random numbers.

    Attributes:
        settings: what is measured, and where.
    """

    settings: CompareSettings

    kind: ClassVar[str]
    """The study's name in its table."""

    @abc.abstractmethod
    def members(self, estimator: Estimator) -> list[Estimator]:
        """Return the variants of an estimator that are measured."""

    @abc.abstractmethod
    def caution(self, columns: Row, samples: int) -> str:
        """Return a note on the number of samples of the variant of these columns, or ""."""

    @property
    def name(self) -> str:
        """The kind of study."""
        return self.kind

    @property
    def parts(self) -> Mapping[str, Estimator]:
        """The estimators."""
        return {str(estimator): estimator for estimator in self.settings.estimators}

    def configuration(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return self.settings.configuration(self.kind)

    @property
    def modules(self) -> set[str]:
        """The names of the modules that measure, and of the problem and the estimators."""
        return {type(self).__module__} | self.settings.modules

    def done(self, rows: Sequence[Row]) -> set[str]:
        """Return the estimators of whose variants the first has rows."""
        there = {row["estimator"] for row in rows}
        return {name for name, one in self.parts.items() if str(self.members(one)[0]) in there}

    def run(
        self, parts: Mapping[str, Estimator], results: Results, progress: Progress
    ) -> Iterator[list[Row]]:
        """Measure estimators; variants of one are mapped over in one compiled program."""
        del results
        settings, keys = self.settings, self.settings.keys()
        point = settings.point(progress)
        shared = settings.columns(point, self.kind)
        for name, estimator in parts.items():
            with progress.task(name) as advance:
                members = self.members(estimator)
                columns = [shared | estimator_columns(member) for member in members]
                context = point.params, point.batch
                # Only now: tracing all of them first takes several seconds.
                if reason := settings.refusal(estimator, context, point.distribution, len(members)):
                    yield [columns[0] | skipped(reason)]
                    continue
                ready = [point.ready(one, keys["tune"], settings.tuning_steps) for one in members]
                tuned = [one.estimator for one in ready]
                is_stack = len(tuned) > 1
                drawn = point.draw(
                    stack(tuned) if is_stack else tuned[0],
                    keys["measure"],
                    settings.samples,
                    stacked=is_stack,
                    timed=True,
                    progress=advance,
                )
                evaluations = point.problem.evaluations(estimator, point.distribution)
                rows = []
                for own, one, blocks in zip(columns, ready, drawn, strict=True):
                    note = "; ".join(filter(None, (self.caution(own, blocks.count), one.note)))
                    found = metric_rows(blocks, point.truth, evaluations, settings.budget, note)
                    rows += [own | row for row in found]
                yield rows


def skipped(reason: str) -> Row:
    """Return the columns of an estimator that does not fit the problem."""
    nan = float("nan")
    return {
        "metric": "skipped",
        "value": nan,
        "low": nan,
        "high": nan,
        "evaluations": 0,
        "samples": 0,
        "note": reason,
    }
