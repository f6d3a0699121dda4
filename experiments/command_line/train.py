"""The command `train`: batches of runs, their curves and what they learned to draw."""

import argparse
from typing import Any

import jax

import analysis
from analysis.figures import along_training, pictures, training
from experiments import problems
from experiments.command_line import options, unused
from experiments.command_line.output import (
    TABLE_FILES,
    figure_files,
    opened,
    present,
    save,
    say,
    shown,
)
from experiments.running.progress import Progress
from experiments.running.results import Results
from experiments.running.user_code import parse_estimators, parse_part, parse_problem
from experiments.studies import training as train
from experiments.studies.training import Settings
from experiments.system.errors import UsageError
from experiments.system.folder import slug
from experiments.training import optimisers, schedules

_EPILOG = """
optimisers:  {optimisers}
schedules:   {schedules}
One batch of runs per estimator: all seeds, learning rates and temperatures train in one program.
A killed run continues from its checkpoint. For example:

  estimax train --problem 'VAE[size=200]' --estimators DisARM 'GumbelSoftmax[0.5]' \\
      --seeds 5 --learning-rates 1e-4 3e-4 1e-3 --steps 20000
  estimax train --problem 'VAE[latent=Categorical,size=20]' --estimators 'GumbelSoftmax[1.0]' \\
      --schedule 'temperature=Exponential[rate=1e-4,floor=0.5,every=1000]'
  estimax train --problem StructuredPrediction --estimators 'SlopeAnnealedStraightThrough[1.0]' \\
      --schedule 'slope=Linear[start=1,end=5,steps=10000]' --optimiser 'SGD[momentum=0.9]'
"""


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands("train", _run, "Train a problem with every estimator named.")
    command.epilog = (
        _EPILOG.format(
            optimisers=", ".join(cls.__name__ for cls in optimisers.ALL),
            schedules=", ".join(cls.__name__ for cls in schedules.ALL),
        ).strip()
        + "\n\n"
        + command.epilog
    )
    defaults = Settings(problems.VAE(), [])
    option = command.add_argument
    option("--problem", default="VAE", metavar="NAME", help="the problem (default: VAE, 8 bits)")
    option(
        "--estimators",
        "--estimator",
        nargs="+",
        required=True,
        metavar="NAME",
        help="the estimators to train with",
    )
    numbers: Any = {"steps": (options.positive, "N", "training steps")}
    numbers["seeds"] = options.positive, "N", "number of seeds"
    numbers["seed"] = options.seed, "N", "the first seed"
    numbers["evaluations"] = options.positive, "N", "evaluations, the last one at the end"
    numbers["bound-samples"] = options.positive, "K", "samples of the evaluated bound"
    for name, (kind, letter, text) in numbers.items():
        default = getattr(defaults, name.replace("-", "_"))
        option(
            f"--{name}",
            type=kind,
            default=default,
            metavar=letter,
            help=f"{text} (default: {default:g})",
        )
    option(
        "--learning-rates",
        "--learning-rate",
        nargs="+",
        type=options.positive_number,
        default=list(defaults.learning_rates),
        metavar="R",
        help="learning rates of the model (default: 0.001)",
    )
    option(
        "--temperatures",
        nargs="+",
        type=options.positive_number,
        default=[],
        metavar="T",
        help="temperatures of the estimators that have one (default: as they are named)",
    )
    option("--optimiser", default="Adam", metavar="NAME", help="the optimiser (default: Adam)")
    option(
        "--schedule",
        nargs="+",
        default=[],
        metavar="FIELD=NAME",
        help="schedules of the estimator's fields, or of learning_rate as a factor",
    )
    option(
        "--tuning-rate",
        type=options.positive_number,
        metavar="R",
        help="rate of Adam on the estimators' own leaves (default: as published)",
    )
    option(
        "--log-steps",
        type=options.positive,
        metavar="N",
        help="steps between two points of the loss curve (default: a fiftieth of all)",
    )
    option(
        "--evaluation-examples",
        type=options.positive,
        metavar="N",
        help="evaluate at most so many examples of a split (default: all)",
    )
    option(
        "--measure",
        nargs="+",
        default=[],
        metavar="NAME",
        help="estimators whose gradients are measured along the first run",
    )
    option(
        "--measure-at",
        nargs="+",
        type=options.count,
        metavar="STEP",
        help="the steps at which they are (default: at the beginning, the middle and the end)",
    )
    options.add_group(command)
    option(
        "--samples",
        type=options.positive,
        default=defaults.samples,
        metavar="N",
        help=f"gradients drawn for each measurement (default: {defaults.samples})",
    )
    option(
        "--checkpoint-seconds",
        type=options.number_from_zero,
        default=30.0,
        metavar="S",
        help="seconds between two checkpoints (default: 30)",
    )
    option(
        "--distributed",
        action="store_true",
        help="one process of several: on Slurm or a TPU pod, started once per host",
    )
    options.add_output(command, "train again what is there, replace other results")


def _run(given: argparse.Namespace) -> None:
    options.check_seeds(given.seed, given.seeds)
    chosen = parse_estimators(given.estimators)
    measured = parse_estimators(given.measure)
    halves = sorted({0, given.steps // 2, given.steps})
    settings = Settings(
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
    settings = train.checked(settings, chosen.named | measured.named)
    unused.of_estimators(given, chosen)
    unused.of_problem(given, settings.problem)
    unused.of_training(given)
    configuration = settings.configuration()
    files = [*TABLE_FILES, *figure_files("training", "along_training")]
    files += [f"pictures-{slug(str(one))}*" for one in settings.estimators]
    with opened(given, train.STUDY, configuration, files) as results:
        if results.complete:
            say(f"{results.folder} holds this run already (--force trains again)")
        else:
            silent = jax.process_index() > 0
            with Progress(len(settings.estimators), silent=silent) as progress:
                train.train(
                    settings, results, progress, checkpoint_seconds=given.checkpoint_seconds
                )
        if jax.process_index() == 0:
            _show(results)


def _show(results: Results) -> None:
    table = shown(results, analysis.training_table)
    figures = {"training": training}
    if (results.table()["measured"] != "").any():
        figures["along_training"] = along_training
    save(results, table, figures)
    with results.folder.staged() as stage:
        for path in results.folder.written("pictures-*.npz"):
            try:
                grids = pictures.load(path)
            except (OSError, ValueError) as error:
                say(f"left out: {error}")
                continue
            for name, grid in grids.items():
                figure = pictures.draw(name, grid)
                analysis.save_figure(figure, stage / f"{path.stem}-{name}")
    present(results, table)


def _schedule(text: str):
    field, separator, name = text.partition("=")
    if not separator:
        raise UsageError(f"--schedule {text}: write FIELD=NAME, as in temperature=Exponential")
    return field, parse_part(name, schedules.ALL)
