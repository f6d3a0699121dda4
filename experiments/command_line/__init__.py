"""The command `estimax`: reads the arguments, runs a study, prints and draws its results."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import analysis
import estimators
from analysis.figures import bias_variance, error_cost
from analysis.figures import temperature as temperature_figure
from estimators.core.identity import nearest
from experiments import device, problems
from experiments.errors import UsageError
from experiments.progress import Progress
from experiments.results import Results, identity
from experiments.studies import compare, temperature
from experiments.studies.compare import Settings
from experiments.user_code import blame, parse_estimator, parse_problem

_EPILOG = """\
problems:    {problems}
estimators:  {estimators}
A name may set fields: VAE[latent=Categorical,size=3,classes=4,kl=sampled],
ScoreFunction[baseline=LeaveOneOut[num_samples=4]]. Your own: my_file.py:MyEstimator[scale=2].
Quote names with brackets in shells that expand them.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 2 after one line on what was wrong."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    try:
        if unknown:
            known = parser.known_options(options.command)
            raise UsageError(f"unknown option {unknown[0]!r}{nearest(unknown[0], known)}")
        # First: to build an estimator is to start JAX.
        device.start(options.device)
        options.run(options)
    except UsageError as error:
        print(f"estimax: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if (line := blame(error)) is None:
            raise
        print(f"estimax: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("estimax: interrupted; what had finished is kept", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line with the nearest name."""

    commands: dict[str, argparse.ArgumentParser]

    def error(self, message: str) -> NoReturn:
        print(f"estimax: {message}", file=sys.stderr)
        raise SystemExit(2)

    def known_options(self, command: str) -> list[str]:
        """Return the options of a command."""
        return list(self.commands[command]._option_string_actions)


def _parser() -> _Parser:
    parser = _Parser(
        prog="estimax",
        description="Compare gradient estimators for discrete random variables.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    epilog = _EPILOG.format(
        problems=", ".join(cls.__name__ for cls in problems.ALL),
        estimators=", ".join(cls.__name__ for cls in estimators.ALL),
    )

    def add(name: str, run, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=run)
        command.add_argument(
            "--device",
            type=_choice("auto", "cpu", "gpu"),
            default="auto",
            metavar="{auto,cpu,gpu}",
            help="where to compute (default: a GPU if JAX finds one, else the CPU)",
        )
        return command

    command = add("compare", _compare, "Measure bias, variance, error and cost at one point.")
    _add_study_options(command)
    command = add("temperature", _temperature, "Measure bias, variance and error by temperature.")
    _add_study_options(command)
    command.add_argument(
        "--temperatures",
        nargs="+",
        type=_positive_number,
        default=[float(t) for t in np.round(np.geomspace(0.05, 5, 13), 3)],
        metavar="T",
        help="the temperatures (default: 13 from 0.05 to 5)",
    )
    command = add("benchmark", _benchmark, "Time gradients and training steps on this machine.")
    _add_estimators(command)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="keep the figures in FILE (default: print)"
    )
    command.add_argument("--quick", action="store_true", help="a smoke test: few repetitions")
    parser.commands = dict(commands.choices)
    return parser


def _add_estimators(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--estimators",
        nargs="+",
        metavar="NAME",
        help="the estimators (default: every one, in its usual variants)",
    )


def _add_study_options(command: argparse.ArgumentParser) -> None:
    defaults = Settings(problems.VAE(), [])
    option = command.add_argument
    option("--problem", default="VAE", metavar="NAME", help="the problem (default: VAE, 8 bits)")
    _add_estimators(command)
    option(
        "--group",
        metavar="NAME",
        help="parameters of the gradient: logits, encoder, decoder, prior, all "
        "(default: the problem's own, of a VAE the encoder)",
    )
    for name, kind, text in (
        ("samples", _positive, "gradients drawn of each estimator, rounded up to a multiple of 32"),
        ("seed", _seed, "seed of everything random"),
        ("train-steps", _count, "training steps before measuring"),
        ("tune-steps", _count, "tuning steps of the estimators that learn"),
        ("budget", _positive_number, "evaluations of f at which errors are compared"),
    ):
        default = getattr(defaults, name.replace("-", "_"))
        help_text = f"{text} (default: {default:g})"
        option(f"--{name}", type=kind, default=default, metavar="N", help=help_text)
    option("--output", type=Path, metavar="DIR", help="results folder (default: one of its own)")
    option(
        "--force", action="store_true", help="measure again what is there, replace other results"
    )


def _compare(options: argparse.Namespace) -> None:
    results = _run_study(options, compare.STUDY, {}, compare.compare)
    rows = results.table()
    table = analysis.comparison_table(rows)
    _present(results, table)
    _save(results, table, {"bias_variance": bias_variance, "error_cost": error_cost})


def _temperature(options: argparse.Namespace) -> None:
    extra = {"temperatures": sorted(set(options.temperatures))}

    def study(settings, results, progress):
        temperature.sweep(settings, extra["temperatures"], results, progress)

    results = _run_study(options, temperature.STUDY, extra, study)
    rows = results.table()
    table = analysis.temperature_table(rows)
    _present(results, table)
    _save(results, table, {"temperature": temperature_figure})


def _benchmark(options: argparse.Namespace) -> None:
    from experiments import benchmark

    if options.json and not options.json.absolute().parent.is_dir():
        raise UsageError(f"--json {options.json}: there is no such folder")
    named = [parse_estimator(text) for text in options.estimators or []]
    figures = benchmark.run(named or None, quick=options.quick, report=_say)
    print(benchmark.render(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def _run_study(options: argparse.Namespace, study: str, extra: dict[str, Any], run) -> Results:
    problem = parse_problem(options.problem)
    named = [parse_estimator(text) for text in options.estimators or []]
    everything = [example for cls in estimators.ALL for example in cls.examples()]
    settings = Settings(
        problem,
        named or everything,
        group=options.group,
        samples=options.samples,
        seed=options.seed,
        train_steps=options.train_steps,
        tune_steps=options.tune_steps,
        budget=options.budget,
    )
    compare.check(settings, strict=bool(named))
    if study == temperature.STUDY and not any(
        map(temperature.has_temperature, named or everything)
    ):
        raise UsageError("no estimator that is named has a temperature")
    configuration = settings.configuration(study) | extra
    folder = options.output or Path("results") / f"{study}-{identity(configuration)}"
    results = Results.open(folder, configuration, force=options.force)
    if results.complete:
        _say(f"{folder} holds this run already (--force measures again)")
        return results
    with Progress(len(settings.estimators)) as progress:
        run(settings, results, progress)
    return results


def _present(results: Results, table) -> None:
    print(analysis.to_text(table))
    print(f"\nresults in {results.folder}")


def _save(results: Results, table, figures) -> None:
    analysis.save_table(table, results.folder / "table")
    rows = results.table()
    for name, kind in figures.items():
        try:
            drawn = kind.draw(rows), kind.data(rows)
        except ValueError as error:  # nothing that an axis can hold
            _say(f"no figure {name}: {error}")
        else:
            figure, data = drawn
            analysis.save_figure(figure, results.folder / name, data)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _choice(*allowed: str):
    def read(text: str) -> str:
        if text not in allowed:
            choices = ", ".join(allowed)
            raise argparse.ArgumentTypeError(
                f"{text!r} is none of {choices}{nearest(text, allowed)}"
            )
        return text

    return read


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of at least {least}, not {text!r}"
        )
    return value


def _seed(text: str) -> int:
    value = _count(text)
    if value >= 2**32:
        raise argparse.ArgumentTypeError(f"must be below 2^32, not {text!r}")
    return value


def _count(text: str) -> int:
    return _whole(text, 0)


def _positive(text: str) -> int:
    return _whole(text, 1)


def _positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above zero, not {text!r}")
    return value


if __name__ == "__main__":
    sys.exit(main())
