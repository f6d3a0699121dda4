"""The command `temperature`: gradients measured at one point, against temperature."""

import argparse
import functools

from experiments.command_line import compare, jobs, options, rough
from experiments.command_line.output import drawing
from experiments.running.user_code import parse_estimators
from experiments.studies.temperature.study import TEMPERATURES, has_temperature, temperature_sweep
from experiments.system.errors import UsageError


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    compare.add_measurement(command, "all, in their default variants")
    command.add_argument(
        "--temperatures",
        nargs="+",
        type=options.positive_number,
        default=TEMPERATURES,
        metavar="T",
        help="the temperatures, which names of estimators can omit (default: 13 from 0.05 to 5)",
    )


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    temperatures = sorted(set(given.temperatures))
    settings = compare.settings_from(
        given, lambda problem: parse_estimators(None), {"temperature": temperatures[0]}
    )
    if not any(map(has_temperature, settings.estimators)):
        raise UsageError("none of the named estimators has a temperature")
    study = temperature_sweep(settings, temperatures)
    times = functools.partial(rough.seconds, study, settings.problem)
    return jobs.Job(study, drawing(given, settings.estimators), rough=times)
