"""The command `train`: batches of runs, their curves and their pictures."""

import argparse
import functools
from collections.abc import Sequence
from typing import Any

import analysis
from analysis.page import DEFAULT_FORMATS
from estimators import Estimator
from experiments import optimisers, problems
from experiments.command_line import jobs, options, rough, unused
from experiments.command_line.output import (
    DRAWING,
    Drawing,
    concluding_files,
    drawing,
    say,
)
from experiments.running.results import Results
from experiments.running.study import Study
from experiments.running.user_code import parse_estimators, parse_part, parse_problem
from experiments.studies.training.settings import TrainSettings, checked
from experiments.studies.training.study import CHECKPOINT_SECONDS, not_kept, training
from experiments.system.errors import UsageError
from experiments.system.folder import slug
from experiments.training import schedules
from experiments.training.saved import listed

_EPILOG = """\
{optimisers}
{schedules}

The runs of an estimator, with all seeds, learning rates and temperatures, are
one batch in one program. An interrupted run continues from its checkpoint.

For example:

  estimax train --problem 'VAE[size=200]' \\
      --estimators DisARM 'GumbelSoftmax[0.5]' \\
      --seeds 5 --learning-rates 1e-4 3e-4 1e-3 --steps 20000
  estimax train --problem 'VAE[latent=Categorical,size=20]' \\
      --estimators 'GumbelSoftmax[1.0]' \\
      --schedule 'temperature=Exponential[rate=1e-4,floor=0.5,every=1000]'
  estimax train --problem StructuredPrediction \\
      --estimators 'SlopeAnnealedStraightThrough[1.0]' \\
      --schedule 'slope=Linear[start=1,end=5,steps=10000]' \\
      --optimiser 'SGD[momentum=0.9]'

{names}"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG.format(
        optimisers=options.listed("optimisers", (cls.__name__ for cls in optimisers.ALL)),
        schedules=options.listed("schedules", (cls.__name__ for cls in schedules.ALL)),
        names=options.names(),
    )
    options.add_problem(command)
    defaults = TrainSettings(problems.VAE(), [])
    _add_runs(command, defaults)
    _add_evaluation(command, defaults)
    _add_measurement(command, defaults)
    command.add_argument(
        "--checkpoint-seconds",
        type=options.number_from_zero,
        default=CHECKPOINT_SECONDS,
        metavar="S",
        help="minimum number of seconds between two checkpoints (default: 30)",
    )
    command.add_argument(
        "--keep-steps",
        nargs="+",
        type=options.count,
        default=[],
        metavar="STEP",
        help="steps whose checkpoints are kept, for --at of other commands (default: the last)",
    )
    command.add_argument(
        "--distributed",
        action="store_true",
        help="run as one of several processes, which Slurm or a TPU pod starts, one per host",
    )
    options.add_output(command)
    options.add_against(command)
    options.add_drawing(command)


def _add_runs(command: argparse.ArgumentParser, defaults: TrainSettings) -> None:
    """Add the options for the training runs."""
    option = command.add_argument
    option(
        "--estimators",
        "--estimator",
        nargs="+",
        required=True,
        metavar="NAME",
        help="estimators to train with, or families of them",
    )
    options.add_numbers(
        command,
        defaults,
        ("steps", options.positive, "N", "training steps"),
        ("seeds", options.positive, "N", "number of seeds"),
        ("seed", options.seed, "N", "first seed"),
    )
    option(
        "--learning-rates",
        "--learning-rate",
        nargs="+",
        type=options.positive_number,
        default=defaults.learning_rates,
        metavar="R",
        help="learning rates of the model (default: 0.001)",
    )
    option(
        "--temperatures",
        nargs="+",
        type=options.positive_number,
        default=[],
        metavar="T",
        help="temperatures of the estimators that have one (default: their own)",
    )
    option("--optimiser", default="Adam", metavar="NAME", help="the optimiser (default: Adam)")
    option(
        "--schedule",
        nargs="+",
        default=[],
        metavar="FIELD=NAME",
        help="schedules of estimators' fields, or of learning_rate, which they multiply",
    )
    option(
        "--tuning-rate",
        type=options.positive_number,
        metavar="R",
        help="learning rate of Adam for the estimators' own parameters (default: as published)",
    )


def _add_evaluation(command: argparse.ArgumentParser, defaults: TrainSettings) -> None:
    """Add the options for the loss curve and evaluations."""
    option = command.add_argument
    option(
        "--log-steps",
        type=options.positive,
        metavar="N",
        help="steps between two points of the loss curve (default: steps / 50)",
    )
    options.add_numbers(
        command,
        defaults,
        (
            "evaluations",
            options.positive,
            "N",
            "number of evaluations, at equal intervals up to the end",
        ),
        ("bound-samples", options.positive, "K", "samples in the bound that is evaluated"),
    )
    option(
        "--evaluation-examples",
        type=options.positive,
        metavar="N",
        help="maximum number of evaluated examples per split (default: all)",
    )


def _add_measurement(command: argparse.ArgumentParser, defaults: TrainSettings) -> None:
    """Add the options for gradients measured during the first run."""
    option = command.add_argument
    option(
        "--measure",
        nargs="+",
        default=[],
        metavar="NAME",
        help="estimators whose gradients are measured during the first run",
    )
    option(
        "--measure-at",
        nargs="+",
        type=options.count,
        metavar="STEP",
        help="steps at which they are measured (default: the first, the middle and the last)",
    )
    options.add_groups(command, "panels of the figure")
    options.add_numbers(
        command,
        defaults,
        ("samples", options.positive, "N", "gradients per measurement"),
    )


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    options.check_seeds(given.seed, given.seeds)
    chosen = parse_estimators(given.estimators)
    measured = parse_estimators(given.measure)
    halves = sorted({0, given.steps // 2, given.steps})
    settings = TrainSettings(
        parse_problem(given.problem),
        chosen.estimators,
        steps=given.steps,
        seeds=given.seeds,
        seed=given.seed,
        learning_rates=tuple(dict.fromkeys(given.learning_rates)),
        temperatures=tuple(dict.fromkeys(given.temperatures)),
        optimiser=parse_part(given.optimiser, optimisers.ALL),
        schedules=tuple(map(_schedule, given.schedule)),
        tuning_rate=given.tuning_rate,
        log_steps=given.log_steps,
        evaluations=given.evaluations,
        bound_samples=given.bound_samples,
        evaluation_examples=given.evaluation_examples,
        measured=measured.estimators,
        measured_steps=tuple(sorted(set(given.measure_at or halves))) if given.measure else (),
        group=given.group,
        samples=given.samples,
    )
    settings = checked(settings, chosen.named | measured.named)
    unused.of_estimators(given, chosen)
    unused.of_problem(given, settings.problem)
    unused.of_training(given)
    drawn = drawing(given, [*settings.estimators, *settings.measured])
    drawn = drawn._replace(against=given.against)
    study = training(settings, given.checkpoint_seconds, given.keep_steps)

    def own(results: Results) -> None:
        draw_pictures(results, drawn)
        say_not_kept(results, study, given.keep_steps)

    shown_as = {"against": given.against}
    files, times = picture_files(study), functools.partial(rough.seconds, study, settings.problem)
    return jobs.Job(study, drawn, shown_as, own_files=files, own=own, rough=times)


def picture_files(study: Study[Any]) -> list[str]:
    """Return patterns of the names of the pictures of a study."""
    return [f"pictures-{slug(name)}*" for name in study.parts]


def written_files(study: Study[Any], formats: Sequence[str] = DEFAULT_FORMATS) -> list[str]:
    """Return the names, or patterns of names, of the tables, figures and pictures of a study."""
    return [*concluding_files(study.configuration["study"], formats), *picture_files(study)]


def draw_pictures(results: Results, drawn: Drawing = DRAWING) -> None:
    """Draw the grids of pictures that the runs left in their folder."""
    from analysis.figures import pictures

    with results.folder.staged() as stage:
        for path in results.folder.written("pictures-*.npz"):
            try:
                run, grids = pictures.load(path)
            except (OSError, ValueError) as error:
                say(f"left out: {error}")
                continue
            for name, grid in grids.items():
                figure = pictures.draw(name, grid, run, drawn.page)
                stem = stage / f"{path.stem}-{name}"
                analysis.save_figure(figure, stem, formats=drawn.formats)


def say_not_kept(results: Results, study: Study[Estimator], steps: Sequence[int]) -> None:
    """Print which of the steps to keep have no checkpoint, and how to get one."""
    if missing := not_kept(results, study.parts.values(), steps):
        say(
            f"note: no checkpoint of step {listed(missing)}: training had passed it already, or "
            "diverged before; the same command with another --output trains again and keeps it"
        )


def _schedule(text: str):
    field, separator, name = text.partition("=")
    if not separator:
        raise UsageError(f"--schedule {text}: write FIELD=NAME, as in temperature=Exponential")
    return field, parse_part(name, schedules.ALL)
