"""One kind of work, timed alternately here and in PyTorch."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import jax

from experiments.benchmark.process import Process
from experiments.benchmark.rounds import in_turn, ratios, summarise
from experiments.benchmark.workload import Figure, Round


@dataclasses.dataclass(frozen=True)
class SideBySide:
    """One kind of work, timed alternately here and in PyTorch.

    Attributes:
        kind: its name, here and in PyTorch's process.
        figure: the quantity that is timed, with its unit.
        more_is_better: whether the figure is a speed rather than a time.
        ours: our rounds by the estimator's identity.
        about: further facts about the work, as plain values.
    """

    kind: str
    figure: str
    more_is_better: bool
    ours: Mapping[str, Round]
    about: Mapping[str, Any]

    def compile(self, report: Callable[[str], None]) -> None:
        """Run one of our rounds, untimed, so that it compiles."""
        for name, one_round in self.ours.items():
            report(f"compiling {self.kind} of {name}")
            one_round(jax.random.key(0))

    def run(
        self, other: Process | None, num_rounds: int, report: Callable[[str], None]
    ) -> dict[str, Any]:
        """Time the rounds: for each estimator ours, then PyTorch's.

        Returns:
            Plain values: `figure`, `more_is_better`, all of `about`, and `rows` by estimator. A
            row holds the summary of `estimax`; of `torch` by variant; the `best` variant by its
            median; and the summary of the `ratio` of its time to ours (the last two None without
            PyTorch).
        """
        tasks: dict[tuple[str, str], Round] = {}
        for name, one_round in self.ours.items():
            tasks[name, ""] = one_round
            if other:
                for variant in other.variants(self.kind, name):
                    task = self.kind, name, variant
                    tasks[name, variant] = lambda _, torch=other, task=task: torch.round(*task)
        rows = {}
        found = in_turn(tasks, num_rounds, self.figure, report)
        for name in self.ours:
            torch = {variant: found[one, variant] for one, variant in found if one == name}
            rows[name] = self._row(torch.pop(""), torch)
        counted = {"figure": self.figure, "more_is_better": self.more_is_better}
        return counted | dict(self.about) | {"rows": rows}

    def _row(self, ours: list[Figure], theirs: dict[str, list[Figure]]) -> dict[str, Any]:
        torch = {variant: _brief(figures) for variant, figures in theirs.items()}
        best = ratio = None
        if torch:
            choose = max if self.more_is_better else min
            best = choose(torch, key=lambda variant: torch[variant]["median"])
            pair = _values(ours), _values(theirs[best])
            ratio = summarise(ratios(*pair, more_is_better=self.more_is_better))
        return {"estimax": _brief(ours), "torch": torch, "best": best, "ratio": ratio}


def _values(figures: list[Figure]) -> list[float]:
    return [figure["value"] for figure in figures]


def _brief(figures: list[Figure]) -> dict[str, float]:
    """Return the summary of the values, with the averages of the moments."""
    moments = figures[0].keys() - {"value"}
    averages = {name: statistics.fmean(figure[name] for figure in figures) for name in moments}
    return summarise(_values(figures)) | averages
