"""The batch of runs of one estimator, from the start or a checkpoint to the end."""

import functools
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from estimators import Distribution, Estimator
from estimators.naming import describe
from experiments.data import Split
from experiments.measurement.evaluation import Evaluator
from experiments.measurement.keys import named_keys
from experiments.measurement.point import REFERENCE_SHARE, Instrument, check_groups
from experiments.measurement.rows import Row, metric_rows, seconds_row
from experiments.problems import EvaluatedProblem, Params, Problem
from experiments.running.identity import identity
from experiments.running.progress import Progress
from experiments.studies.training.clock import Clock
from experiments.studies.training.history import History, Tally
from experiments.studies.training.kept import about
from experiments.studies.training.settings import TrainSettings
from experiments.system import hosts
from experiments.system.folder import slug
from experiments.system.signals import Interrupted
from experiments.training.batch import Batch
from experiments.training.checkpoints import Checkpoints
from experiments.training.pace import Pace
from experiments.training.run import LONGEST, State


class BatchInputs:
    """Shared by the batches of a study: data, keys, the evaluator and the instrument."""

    def __init__(self, settings: TrainSettings):
        """Read the data; nothing is computed yet."""
        self.settings = settings
        self.problem = settings.problem
        self.data = self.problem.data()
        self.key = jax.random.key(settings.seed)
        self._examples: dict[str, Any] = {}
        names = "batch", "truth", "tune", "measure", "evaluate", "examples", "pictures"
        self.keys = named_keys(settings.seed, *names)

    @functools.cached_property
    def batch(self) -> Any:
        """The minibatch on which gradients are measured."""
        return self.problem.batch(self.keys["batch"], self.data)

    @functools.cached_property
    def instrument(self) -> Instrument:
        """The instrument that measures gradients."""
        params = self.problem.measured_params(self.problem.initial(self.key), self.batch)
        return Instrument(self.problem, check_groups(self.problem, params, self.settings.group))

    @functools.cached_property
    def _distribution(self) -> Distribution:
        """The distribution of an example at the initial parameters."""
        return self.problem.distribution(self.problem.initial(self.key), self.batch)

    def evaluations(self, estimator: Estimator) -> int:
        """Return the evaluations of f that a gradient takes, for one example."""
        return self.problem.evaluations(estimator, self._distribution)

    def scores(self, params: Params) -> Iterator[tuple[str, dict[str, jax.Array]]]:
        """Yield the scores of the hard model on each split; without data, once, of the split ""."""
        for split, data in self._scored.items():
            yield split, _scorer(self.problem)(params, self.keys["evaluate"], data)

    @functools.cached_property
    def _scored(self) -> dict[str, Any]:
        """The data of each split on which the hard model is scored."""
        if type(self.problem).scores is Problem.scores:
            return {}
        if self.data is None:
            return {"": None}
        return {split: self.problem.data(split) for split in self.settings.splits}

    @property
    def is_objective_scored(self) -> bool:
        """Whether the objective says how good a model is.

        Not in a game, where each run has an opponent of its own; nor that of one minibatch, where
        the hard model has scores on a whole split.
        """
        has_all = not self._scored or self.batch is self.data
        return has_all and len(self.problem.turns) == 1

    def examples(self, problem: EvaluatedProblem, split: Split) -> Any:
        """Return the examples of a split on which the problem is evaluated, on the host."""
        if split not in self._examples:
            examples = problem.examples(self.keys["examples"], problem.data(split))
            most = self.settings.evaluation_examples
            self._examples[split] = jax.tree.map(lambda leaf: np.asarray(leaf)[:most], examples)
        return self._examples[split]


@functools.lru_cache(maxsize=4)
def _evaluator(problem: EvaluatedProblem, num_samples: int) -> Evaluator:
    """Return a problem's evaluator; studies of one problem share it, compiled once."""
    return Evaluator(problem, num_samples)


@functools.lru_cache(maxsize=4)
def _scorer(problem: Problem) -> Callable[..., dict[str, jax.Array]]:
    """Return a problem's scores, compiled once."""
    return jax.jit(problem.scores)


class EstimatorBatch:
    """The batch of runs of one estimator."""

    def __init__(
        self,
        shared: BatchInputs,
        estimator: Estimator,
        folder: Path,
        environment: Mapping[str, str],
        keep: Collection[int] = (),
    ):
        """Prepare the batch; nothing is computed yet.

        Args:
            shared: what the batches share.
            estimator: the estimator.
            folder: the folder of the checkpoints of all batches.
            environment: everything besides the settings that determines the numbers.
            keep: the steps whose checkpoints are kept.
        """
        settings = shared.settings
        self.shared = shared
        self.settings = settings
        self.name = str(estimator)
        self.short_name = describe(estimator, positional=True)
        self.slug = slug(self.name)
        members, runs = zip(*settings.runs(estimator), strict=True)
        self.run_names = settings.run_names(estimator)
        self.batch = Batch(settings.recipe, runs, members, shared.data)
        evaluations = [self.shared.evaluations(one) for one in members]
        self.history = History(settings, members, runs, evaluations)
        self.tally = Tally()
        self.clock = Clock()
        self.pace = Pace(LONGEST)
        self.last: Any = None
        configuration = settings.configuration() | {"estimator": self.name}
        self.keep = frozenset(keep)
        self.checkpoints = Checkpoints(
            folder / self.slug,
            identity(configuration, environment),
            self.keep,
            about(configuration, environment, members, runs),
        )

    def restore(self) -> tuple[State, dict[str, Any]] | None:
        """Return the state and the history of the checkpoint, None if there is none.

        Raises:
            UsageError: for a checkpoint of another configuration, or a damaged one.
        """
        return self.checkpoints.restore(self.batch.shape)

    def train(
        self,
        restored: tuple[State, dict[str, Any]] | None,
        advance: Callable[[float], None],
        progress: Progress,
        checkpoint_seconds: float,
    ) -> list[Row]:
        """Train to the end and return all rows.

        Args:
            restored: the result of `restore`.
            advance: receives the fraction done.
            progress: shows the status of the run.
            checkpoint_seconds: the minimum number of seconds between two checkpoints.

        Raises:
            Interrupted: if a signal asked the run to end; a checkpoint holds its state.
        """
        stops = self.settings.stops
        if restored is None:
            state, step, is_settled = self.batch.start(), 0, 0 not in stops["measure"]
        else:
            state, kept = restored
            step, is_settled, self.history.rows = kept["step"], kept["settled"], kept["rows"]
            self.tally = Tally(*kept["tally"])
            self.clock = Clock(kept["seconds"], kept["timed"], step - kept["timed"])
            self.history.seconds = self.clock.elapsed
        lost, saved = self.batch.gather(state.diverged), time.monotonic()
        while True:
            if not is_settled:
                self._settle(step, state, lost, progress)
                is_settled = True
            if step in self.keep:
                self._save(step, state, settled=True)
            if step == self.settings.steps or ((lost >= 0).all() and not self.tally.count):
                break
            stop = min(later for later in self.keep.union(*stops.values()) if later > step)
            number = min(hosts.gathered(min(self.pace.size, stop - step)))
            self.clock.start()
            with self.pace.timed(number):
                state, losses = self.batch.advance(state, number)
            self.clock.stop(number)
            self.history.seconds = self.clock.elapsed
            step, lost = step + number, self.batch.gather(state.diverged)
            self.tally.add(losses)
            if step in stops["log"]:
                self.history.log(step, self.tally, lost)
                self.tally = Tally()
            is_settled = step not in stops["measure"] | stops["evaluate"]
            try:
                if number := hosts.received_signal():
                    raise Interrupted(number)
                progress.note(self._status(step))
                advance(step / self.settings.steps)
            except Interrupted as error:
                raise self._interrupted(error, step, state, settled=is_settled) from error
            if hosts.gathered(time.monotonic() - saved >= checkpoint_seconds)[0]:
                self._save(step, state, settled=is_settled)
                saved = time.monotonic()
        self._save(step, state, settled=True)
        for run in range(len(lost)):
            self.history.add(run, step, "steps_per_second", self._speed)
        self.last = state, lost
        return self.history.rows

    def _settle(self, step: int, state: State, lost: np.ndarray, progress: Progress) -> None:
        """Run all measurements and evaluations due at a step or, if interrupted, none."""
        stops, rows = self.settings.stops, len(self.history.rows)
        try:
            if step in stops["measure"]:
                self._measure(step, state, progress)
            if step in stops["evaluate"] and step > 0:
                self._evaluate(step, state, lost, progress)
        except Interrupted as error:
            del self.history.rows[rows:]
            raise self._interrupted(error, step, state, settled=False) from error

    def _interrupted(
        self, error: Interrupted, step: int, state: State, *, settled: bool
    ) -> Interrupted:
        """Save a checkpoint, and return the exception that reports it."""
        self._save(step, state, settled=settled)
        self.checkpoints.close()
        done = f"step {step:,} of {self.settings.steps:,}"
        return Interrupted(
            error.number, f"{self.name} is kept at {done}; run the same command again to continue"
        )

    def pictures(self) -> dict[str, Any]:
        """Return grids of images by name, of the first run that did not diverge, after `train`.

        Under the name `run`, the run in words.
        Empty if the problem has no images, and in all processes but the first.
        """
        state, lost = self.last
        alive = np.flatnonzero(lost < 0)
        problem = self.shared.problem
        if not isinstance(problem, EvaluatedProblem) or not len(alive):
            return {}
        examples = self.shared.examples(problem, "test")
        rows = self.batch.gather(state.params)  # a collective: all processes take part
        if jax.process_index() > 0:
            return {}
        params = _member(rows, int(alive[0]))
        draw = jax.jit(problem.pictures)
        pictures = draw(params, self.shared.keys["pictures"], examples)
        found = {name: np.asarray(grid) for name, grid in pictures.items()}
        return found | {"run": np.array(self.history.about(int(alive[0])))}

    def finish(self) -> None:
        """Close the checkpoint's files."""
        self.checkpoints.close()

    @property
    def _speed(self) -> float:
        """Steps per second of all runs together."""
        return self.batch.num_runs * self.clock.speed

    def _status(self, step: int) -> str:
        speed = f", {self._speed:.0f} steps/s" if self.clock.steps else ""
        lost = self.history.num_lost
        diverged = f", {lost} of {self.batch.num_runs} runs diverged" if lost else ""
        loss = "loss" if self.batch.num_runs == 1 else "best loss"
        return f"step {step:,}, {loss} {self.history.loss:.2f}{diverged}{speed}"

    def _evaluate(self, step: int, state: State, lost: np.ndarray, progress: Progress) -> None:
        """Evaluate the discrete model of every run that has not diverged."""
        shared, runs = self.shared, np.flatnonzero(lost < 0).tolist()
        problem, splits = shared.problem, self.settings.splits
        rows = self.batch.gather(state.params)
        for run in runs:
            own = _member(rows, run)
            if not _is_finite(own):  # an infinite loss is possible: a bit's logit may be infinite
                self.history.lose(run, step, f"the parameters at step {step} are not finite")
                continue
            for split, found in shared.scores(own):
                for metric, value in found.items():
                    self.history.add(run, step, metric, float(value), split=split)
            if not isinstance(problem, EvaluatedProblem):
                exact = (
                    problem.exact_loss(own, shared.batch) if shared.is_objective_scored else None
                )
                if exact is not None:
                    self.history.add(run, step, "exact_loss", float(exact))
                continue
            for split in splits:
                about = ", ".join(filter(None, (f"evaluating, {split}", self.run_names[run])))
                found = _evaluator(problem, self.settings.bound_samples)(
                    own,
                    shared.keys["evaluate"],
                    shared.examples(problem, split),
                    lambda done, about=about: progress.note(f"{about}, {done:.0%}"),
                )
                self.history.evaluated(run, step, split, found)

    def _measure(self, step: int, state: State, progress: Progress) -> None:
        """Measure the chosen estimators at the first run's parameters, under common noise."""
        shared, settings, params = (
            self.shared,
            self.settings,
            _member(self.batch.gather(state.params), 0),
        )
        if not _is_finite(params):
            return
        keys = {name: jax.random.fold_in(key, step) for name, key in shared.keys.items()}
        about = f"measuring at step {step:,}: the true gradient"
        progress.note(about)
        point = shared.instrument.point(
            params,
            shared.batch,
            keys["truth"],
            REFERENCE_SHARE * settings.samples,
            lambda done: progress.note(f"{about}, {done:.0%}"),
        )
        for estimator in settings.measured:
            about = f"measuring at step {step:,}: {estimator}"
            progress.note(about)
            ready = point.ready(estimator, keys["tune"], settings.tuning_steps)
            drawn = point.draw_groups(
                ready.estimator,
                keys["measure"],
                settings.samples,
                progress=lambda done, about=about: progress.note(f"{about}, {done:.0%}"),
            )
            evaluations = shared.problem.evaluations(estimator, point.distribution)
            note = ready.note and f"measured at step {step:,}, {estimator}: {ready.note}"
            times = point.timed(ready.estimator)
            for group, truth, (blocks,) in zip(point.groups, point.truths, drawn, strict=True):
                rows = metric_rows(blocks, truth, evaluations, settings.budget, note)
                rows.append(seconds_row(times, rows[0]))
                self.history.measured(step, estimator, group, rows)

    def _save(self, step: int, state: State, *, settled: bool) -> None:
        kept = {"step": step, "settled": settled, "rows": self.history.rows}
        kept["tally"] = self.tally.plain()
        self.checkpoints.save(
            step, state, kept | {"seconds": self.clock.seconds, "timed": self.clock.steps}
        )


def _is_finite(params: Any) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params))


def _member(rows: Any, run: int) -> Any:
    """Return one run's parameters, from gathered ones, on this host's first device."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[run]), rows)
