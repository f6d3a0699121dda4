"""The commands `compare` and `temperature`: gradients measured at one point of a problem."""

import argparse
from typing import Any

import numpy as np

import analysis
from analysis.figures import bias_variance, error_cost
from analysis.figures import temperature as temperature_figure
from experiments import problems
from experiments.command_line import options, unused
from experiments.command_line.output import (
    TABLE_FILES,
    conclude,
    figure_files,
    opened,
    say,
)
from experiments.running.progress import Progress
from experiments.running.user_code import parse_estimators, parse_problem
from experiments.studies.comparison import compare
from experiments.studies.comparison.compare import Settings
from experiments.studies.temperature import sweep as temperature
from experiments.system.errors import UsageError


def add(commands) -> None:
    """Add both commands to the parser."""
    command = commands("compare", _compare, "Measure bias, variance, error and cost at one point.")
    _add_options(command)
    command = commands(
        "temperature", _temperature, "Measure bias, variance and error by temperature."
    )
    _add_options(command)
    command.add_argument(
        "--temperatures",
        nargs="+",
        type=options.positive_number,
        default=[float(t) for t in np.round(np.geomspace(0.05, 5, 13), 3)],
        metavar="T",
        help="the temperatures (default: 13 from 0.05 to 5)",
    )


def _add_options(command: argparse.ArgumentParser) -> None:
    defaults = Settings(problems.VAE(), [])
    option = command.add_argument
    option("--problem", default="VAE", metavar="NAME", help="the problem (default: VAE, 8 bits)")
    options.add_estimators(command)
    options.add_group(command)
    option(
        "--samples",
        type=options.positive,
        metavar="N",
        help="gradients drawn of each estimator, rounded up to a multiple of 32 (default: 2048, "
        "fewer of a problem whose gradients are expensive)",
    )
    for name, kind, text in (
        ("seed", options.seed, "seed of everything random"),
        ("train-steps", options.count, "training steps before measuring"),
        ("tuning-steps", options.count, "the most tuning steps of the estimators that learn"),
        ("budget", options.positive_number, "evaluations of f at which errors are compared"),
    ):
        default = getattr(defaults, name.replace("-", "_"))
        help_text = f"{text} (default: {default:g})"
        option(f"--{name}", type=kind, default=default, metavar="N", help=help_text)
    options.add_output(command, "measure again what is there, replace other results")


def _compare(given: argparse.Namespace) -> None:
    figures = {"bias_variance": bias_variance, "error_cost": error_cost}
    _run_study(given, compare.STUDY, {}, compare.compare, analysis.comparison_table, figures)


def _temperature(given: argparse.Namespace) -> None:
    extra = {"temperatures": sorted(set(given.temperatures))}

    def study(settings, results, progress):
        temperature.sweep(settings, extra["temperatures"], results, progress)

    figures = {"temperature": temperature_figure}
    _run_study(given, temperature.STUDY, extra, study, analysis.temperature_table, figures)


def _run_study(
    given: argparse.Namespace, study: str, extra: dict[str, Any], run, tabulate, figures
) -> None:
    problem = parse_problem(given.problem)
    chosen = parse_estimators(given.estimators)
    settings = Settings(
        problem,
        chosen.estimators,
        group=given.group,
        samples=given.samples or problem.default_samples,
        seed=given.seed,
        train_steps=given.train_steps,
        tuning_steps=given.tuning_steps,
        budget=given.budget,
    )
    compare.check(settings, chosen.named)
    if study == temperature.STUDY and not any(map(temperature.has_temperature, chosen.estimators)):
        raise UsageError("no estimator that is named has a temperature")
    unused.of_estimators(given, chosen)
    unused.of_problem(given, problem)
    configuration = settings.configuration(study) | extra
    files = [*TABLE_FILES, *figure_files(*figures)]
    with opened(given, study, configuration, files) as results:
        if results.complete:
            say(f"{results.folder} holds this run already (--force measures again)")
        else:
            with Progress(len(settings.estimators)) as progress:
                run(settings, results, progress)
        conclude(results, tabulate, figures)
