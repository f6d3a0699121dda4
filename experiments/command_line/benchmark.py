"""The command `benchmark`: speed, compared with PyTorch; gradients of other libraries."""

import argparse
import json

import analysis
from experiments.benchmark.opponents.environments import LIBRARIES
from experiments.command_line import jobs, options, plan, unused
from experiments.command_line.output import say, terminal_width
from experiments.running.user_code import parse_estimators
from experiments.system.errors import UsageError
from experiments.system.output_file import OutputFile


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = options.names()
    options.add_estimators(command)
    command.add_argument(
        "--json",
        type=options.path,
        metavar="FILE",
        help="write the timings to FILE (default: print them only)",
    )
    command.add_argument(
        "--opponents",
        nargs="*",
        type=options.choice(*LIBRARIES),
        metavar="LIBRARY",
        help="instead, compare gradients with those of other libraries: value, mean, variance and "
        "time. Each is installed into an environment of its own in the cache folder, which takes "
        f"minutes, and up to 6 GB for those that need PyTorch (default: {', '.join(LIBRARIES)})",
    )
    command.add_argument(
        "--output",
        type=options.path,
        metavar="DIR",
        help="results folder of --opponents (default: one in ./results)",
    )
    command.add_argument(
        "--force", action="store_true", help="replace FILE, or the results in DIR, if they exist"
    )
    options.add_dry_run(command)
    command.set_defaults(save=None)  # a study file has no benchmarks
    command.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    from experiments import benchmark

    if given.opponents is not None:
        unused.without_effect(given, "with --opponents", "json")
        jobs.run(given, _opponents(given))
        return
    unused.without_effect(given, "without --opponents", "output")
    target = OutputFile(given.json, "--json", force=given.force) if given.json else None
    if not given.json:
        unused.without_effect(given, "without --json", "force")
    chosen = parse_estimators(given.estimators) if given.estimators else None
    if given.dry_run:
        names = [str(one) for one in chosen.estimators] if chosen else ["all estimators"]
        plan.show(f"to do  {name}, time unknown" for name in names)
        return
    figures = benchmark.run(
        chosen and chosen.estimators,
        named=chosen and chosen.named,
        quick=given.quick,
        report=say,
    )
    print(analysis.benchmark_text(figures, terminal_width()))
    if target:
        text = json.dumps(figures, indent=2) + "\n"
        try:
            target.write(text)
        except UsageError:
            print(text)  # so that the timings are not lost
            raise


def _opponents(given: argparse.Namespace) -> jobs.Job:
    """Return the comparison with other libraries."""
    from experiments.benchmark.opponents.study import QUICK, OpponentsSettings, opponents

    chosen = parse_estimators(given.estimators).estimators if given.estimators else []
    settings = QUICK if given.quick else OpponentsSettings()
    return jobs.Job(opponents(settings, given.opponents, [str(one) for one in chosen]))
