"""The studies of the command line as functions, which return their results as objects."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from estimators import Estimator
from estimax.arguments import (
    Folder,
    Names,
    chosen_of,
    numbers_of,
    part_of,
    problem_of,
    settings_at,
    where_of,
)
from estimax.results import Result
from experiments import optimisers
from experiments.command_line.output import completed_in, concluding_files, readable, save
from experiments.command_line.train import draw_pictures, written_files
from experiments.optimisers import Optimiser
from experiments.problems import Problem
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.studies.comparison.default import default_estimators
from experiments.studies.comparison.settings import CompareSettings
from experiments.studies.comparison.study import comparison
from experiments.studies.diagnosis.diagnose import diagnosis
from experiments.studies.diagnosis.model import Loss, Model
from experiments.studies.diagnosis.study import DiagnoseSettings, diagnosis_study
from experiments.studies.temperature.study import TEMPERATURES, has_temperature, temperature_sweep
from experiments.studies.training.settings import TrainSettings, checked
from experiments.studies.training.study import training
from experiments.system.errors import UsageError
from experiments.training import schedules
from experiments.training.schedules import Schedule


def compare(
    problem: str | Problem | None = None,
    estimators: Names | None = None,
    *,
    group: str | Sequence[str] | None = CompareSettings.group,
    samples: int | None = None,
    seed: int | None = None,
    seeds: int = CompareSettings.seeds,
    train_steps: int = CompareSettings.train_steps,
    tuning_steps: int = CompareSettings.tuning_steps,
    budget: float = CompareSettings.budget,
    precision: float | None = CompareSettings.precision,
    most_samples: int = CompareSettings.most_samples,
    coordinates: bool = CompareSettings.coordinates,
    at: Folder | Sequence[Folder] = (),
    step: int | Sequence[int] | None = None,
    trained_with: str | Estimator | None = None,
    output: Folder | None = None,
    force: bool = False,
) -> Result:
    """Measure bias, variance, error and cost of estimators at one point of a problem.

    The same study as `estimax compare`, with the same numbers.

    Args:
        problem: the problem, or its name; by default the VAE, or with `at` that of the runs.
        estimators: estimators, or names of estimators or families; by default, those of the
            command.
        group: the parameters to differentiate with respect to, or several groups, of which each has
            a block of the table; None for the problem's default.
        samples: the number of gradients drawn of each estimator, rounded up to a multiple of 32;
            None for the problem's default.
        seed: the first random seed; by default 0, or with `at` the first seed of each run.
        seeds: the number of seeds, each of a point of its own; the table and the figures show means
            over them.
        train_steps: training steps before measuring; none with `at`.
        tuning_steps: the maximum number of tuning steps of estimators that learn.
        budget: evaluations of f at which errors are compared.
        precision: as many samples are drawn as it takes for 95 % intervals of variance and error at
            equal cost that reach so far from their values, such as 0.05; None for `samples`, which
            is the least number.
        most_samples: the most samples for the precision.
        coordinates: whether mean and variance of every coordinate of the gradients are kept, for
            `Result.coordinates` and a figure.
        at: results folders of training runs, to measure at their checkpoints; or, with `problem`,
            folders of pytrees that orbax saved.
        step: the steps of these checkpoints; by default the last.
        trained_with: the estimator of the training runs; by default any.
        output: a results folder, as `--output`: tables and figures are written there, and a
            finished or interrupted run continues. By default nothing is kept but the result.
        force: whether to run again, and replace the results in the folder.

    Raises:
        UsageError: if the estimators cannot be measured so, or the folder cannot be used.
    """
    chosen = chosen_of(estimators)
    where = where_of(problem, seed, seeds, at, step, trained_with)
    if estimators is None:  # as the command, which depends on the problem
        chosen = default_estimators(where.problem)
    settings = settings_at(
        where,
        chosen,
        samples,
        group=group,
        train_steps=train_steps,
        tuning_steps=tuning_steps,
        budget=float(budget),
        precision=precision,
        most_samples=most_samples,
        coordinates=coordinates,
    )
    return _run(comparison(settings), output, force)


def temperature(
    problem: str | Problem | None = None,
    estimators: Names | None = None,
    *,
    temperatures: Sequence[float] = TEMPERATURES,
    group: str | Sequence[str] | None = CompareSettings.group,
    samples: int | None = None,
    seed: int | None = None,
    seeds: int = CompareSettings.seeds,
    train_steps: int = CompareSettings.train_steps,
    tuning_steps: int = CompareSettings.tuning_steps,
    budget: float = CompareSettings.budget,
    precision: float | None = CompareSettings.precision,
    most_samples: int = CompareSettings.most_samples,
    coordinates: bool = CompareSettings.coordinates,
    at: Folder | Sequence[Folder] = (),
    step: int | Sequence[int] | None = None,
    trained_with: str | Estimator | None = None,
    output: Folder | None = None,
    force: bool = False,
) -> Result:
    """Measure bias, variance and error of estimators by temperature.

    The same study as `estimax temperature`, with the same numbers.

    Args:
        problem: as for `compare`.
        estimators: as for `compare`, named with or without a temperature; those that have none
            are measured once.
        temperatures: the temperatures.
        group: as for `compare`.
        samples: as for `compare`.
        seed: as for `compare`.
        seeds: as for `compare`.
        train_steps: as for `compare`.
        tuning_steps: as for `compare`.
        budget: as for `compare`.
        precision: as for `compare`.
        most_samples: as for `compare`.
        coordinates: as for `compare`.
        at: as for `compare`.
        step: as for `compare`.
        trained_with: as for `compare`.
        output: as for `compare`.
        force: as for `compare`.

    Raises:
        UsageError: as `compare`, and if no estimator has a temperature.
    """
    swept = sorted({float(one) for one in temperatures})
    chosen = chosen_of(estimators, {"temperature": swept[0]} if swept else {})
    where = where_of(problem, seed, seeds, at, step, trained_with)
    settings = settings_at(
        where,
        chosen,
        samples,
        group=group,
        train_steps=train_steps,
        tuning_steps=tuning_steps,
        budget=float(budget),
        precision=precision,
        most_samples=most_samples,
        coordinates=coordinates,
    )
    if not any(map(has_temperature, settings.estimators)):
        raise UsageError("none of the estimators has a temperature")
    return _run(temperature_sweep(settings, swept), output, force)


def train(
    problem: str | Problem,
    estimators: Names,
    *,
    steps: int = TrainSettings.steps,
    seeds: int = TrainSettings.seeds,
    seed: int = TrainSettings.seed,
    learning_rates: float | Sequence[float] = TrainSettings.learning_rates,
    temperatures: float | Sequence[float] = TrainSettings.temperatures,
    optimiser: str | Optimiser = TrainSettings.optimiser,
    schedule: Mapping[str, str | Schedule] | None = None,
    tuning_rate: float | None = TrainSettings.tuning_rate,
    log_steps: int | None = TrainSettings.log_steps,
    evaluations: int = TrainSettings.evaluations,
    bound_samples: int = TrainSettings.bound_samples,
    evaluation_examples: int | None = TrainSettings.evaluation_examples,
    measure: Names = (),
    measure_at: Sequence[int] | None = None,
    group: str | Sequence[str] | None = TrainSettings.group,
    samples: int = TrainSettings.samples,
    keep_steps: Sequence[int] = (),
    output: Folder | None = None,
    force: bool = False,
) -> Result:
    """Train a problem with each of the estimators.

    The same study as `estimax train`, with the same numbers.

    Args:
        problem: as for `compare`.
        estimators: as for `compare`; each is trained in one batch of runs.
        steps: training steps.
        seeds: the number of seeds.
        seed: the first seed.
        learning_rates: learning rates of the model.
        temperatures: temperatures of the estimators that have one; by default, their own.
        optimiser: the optimiser, or its name.
        schedule: schedules, or their names, by the field of the estimator that follows it, or
            `learning_rate` for a factor of it.
        tuning_rate: learning rate of the estimators' own parameters; None for the published rates.
        log_steps: steps between two points of the loss curve; None for steps / 50.
        evaluations: the number of evaluations, evenly spaced, the last one at the end.
        bound_samples: samples of the evaluated bound.
        evaluation_examples: the maximum number of evaluated examples of a split; None for all.
        measure: estimators whose gradients are measured during the first run.
        measure_at: the steps at which they are measured; None for the first, the middle and the
            last.
        group: the parameters of the measured gradient, or several groups, as for `compare`.
        samples: gradients drawn for each measurement.
        keep_steps: steps whose checkpoints are kept in `output`, besides the last.
        output: as for `compare`; an interrupted run continues from its checkpoint there.
        force: as for `compare`.

    Raises:
        UsageError: if the estimators cannot be trained so, or the folder cannot be used.
    """
    chosen, measured = chosen_of(estimators), chosen_of(measure)
    at = sorted({0, steps // 2, steps} if measure_at is None else set(measure_at))
    settings = TrainSettings(
        problem_of(problem),
        chosen.estimators,
        steps=steps,
        seeds=seeds,
        seed=seed,
        learning_rates=numbers_of(learning_rates),
        temperatures=numbers_of(temperatures),
        optimiser=part_of(optimiser, optimisers.ALL),
        schedules=tuple(
            (field, part_of(one, schedules.ALL)) for field, one in (schedule or {}).items()
        ),
        tuning_rate=tuning_rate,
        log_steps=log_steps,
        evaluations=evaluations,
        bound_samples=bound_samples,
        evaluation_examples=evaluation_examples,
        measured=measured.estimators,
        measured_steps=tuple(at) if measured.estimators else (),
        group=group,
        samples=samples,
    )
    study = training(checked(settings, chosen.named | measured.named), keep=keep_steps)
    return _run(study, output, force)


def diagnose(
    loss: Loss,
    model: Any,
    batch: Any = None,
    estimators: Names | None = None,
    *,
    samples: int = DiagnoseSettings.samples,
    tuning_steps: int = DiagnoseSettings.tuning_steps,
    budget: float = DiagnoseSettings.budget,
    precision: float | None = DiagnoseSettings.precision,
    most_samples: int = DiagnoseSettings.most_samples,
    seed: int = 0,
    output: Folder | None = None,
    force: bool = False,
) -> Result:
    """Measure estimators on your own model, at its parameters and one batch; recommend one.

    The same study as `estimax diagnose`, with the same numbers.

    Args:
        loss: `loss(model, estimator, key, batch)`, which calls the estimator for its discrete
            variables and returns a scalar.
        model: a flax nnx module, an equinox module, or any pytree; gradients are with respect to
            its floating-point arrays.
        batch: the last argument of the loss.
        estimators: as for `compare`.
        samples: the number of gradients drawn of each estimator.
        tuning_steps: the maximum number of tuning steps of estimators that learn.
        budget: evaluations of f at which errors are compared.
        precision: as for `compare`.
        most_samples: as for `compare`.
        seed: the random seed.
        output: as for `compare`.
        force: as for `compare`.

    Returns:
        The result, with the recommendation as its `conclusion`.

    Raises:
        UsageError: for a loss or a model that cannot be diagnosed, or if no estimator fits.
    """
    candidates = chosen_of(estimators).estimators
    study = diagnosis_study(
        Model.of(loss, model, batch),
        candidates,
        seed,
        DiagnoseSettings(
            samples=samples,
            tuning_steps=tuning_steps,
            budget=budget,
            precision=precision,
            most_samples=most_samples,
        ),
        source=getattr(loss, "__name__", type(loss).__name__),
        module=getattr(loss, "__module__", "") or "",
    )

    def conclude(results: Results) -> str:
        return str(diagnosis(results.rows, candidates, budget))

    return _run(study, output, force, conclude)


def _run(
    study: Study[Any],
    output: Folder | None,
    force: bool,
    conclude: Callable[[Results], str] = lambda results: "",
) -> Result:
    """Run a study in a folder, or in one that is then removed; return its results."""
    trains = study.name == "train"
    files = written_files(study) if trains else concluding_files(study.configuration["study"])
    with contextlib.ExitStack() as stack:
        if output is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="estimax-")))
        else:
            path = Path(output)
        results = stack.enter_context(
            completed_in(path, study, files, force=force, silent=not sys.stderr.isatty())
        )
        if output is not None and jax.process_index() == 0:
            if trains:
                draw_pictures(results)
            save(results.folder, results.table(), readable(results))
        folder = None if output is None else path
        return Result(results.table(), folder, conclude(results))
