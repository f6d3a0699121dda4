"""The command `run`: what a study file says."""

import argparse
import contextlib
import importlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from experiments.command_line import (
    exit_status,
    later,
    options,
    parser,
    plan,
    study_file,
    study_words,
    united,
)
from experiments.command_line.jobs import Job
from experiments.command_line.output import completed_in, say, text
from experiments.command_line.study_file import Run, StudyFile
from experiments.command_line.united import Done
from experiments.system import hosts, signals
from experiments.system.errors import UsageError
from experiments.system.folder import Folder, slug

_EPILOG = """\
The file is TOML. Its keys are the options of the commands, without dashes:

  command = "compare"
  problem = ["Quadratic", "Coupled[bits=3]"]
  estimators = ["DisARM", "GumbelSoftmax[0.5]"]
  seed = [0, 1]
  samples = 256

A list for an option that takes one value is a choice: this file is four runs,
each problem with each seed. Several commands are parts; what stands above them
holds for each part whose command has the option, and a part can measure at the
steps that an earlier one kept:

  problem = "Coupled[bits=3]"

  [[part]]
  name = "trained"
  command = "train"
  estimators = "DisARM"
  steps = 500
  keep-steps = [100, 500]

  [[part]]
  name = "sweep"
  command = "temperature"
  at = "trained"
  step = [100, 500]

Options after the file are those of the commands. They win over the file:

  estimax run study.toml --samples 64 --seed 0 1 2

Each run has a folder in DIR/runs, and runs of a kind that differ in estimators,
seeds, temperatures and the like have one table and its figures in DIR. A
finished run is not run again: add a line to the file, and only what is new is
run. `estimax compare ... --save study.toml` writes the file of a command.
"""

_MEANT = {"problem", "seed"}
"""Options that mean something else with `--at` if they are given."""

_OF_PLACE = {"step", "trained_with"}
"""Options that have no effect without `--at`."""

_PREFIX = "option "
"""Of the attributes that hold the options of the commands."""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG
    option = command.add_argument
    option("file", type=options.path, metavar="FILE", help="the study file")
    option(
        "--output",
        type=options.path,
        metavar="DIR",
        help="folder of the results (default: one in ./results with the name of the file)",
    )
    option("--force", action="store_true", help="run again and replace the results in the folder")
    options.add_dry_run(command)
    for key, actions in study_words.all_options().items():
        takes = {"action": "store_true"} if actions[0].nargs == 0 else {"nargs": "+"}
        about: dict[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
        option(f"--{key}", dest=f"{_PREFIX}{key}", **takes, **about)
    option(
        "--distributed",
        action="store_true",
        help="run as one of several processes, as `estimax train --distributed`",
    )
    command.set_defaults(prepare=prepare)


def prepare(given: argparse.Namespace) -> None:
    """Read the file, and take from it what holds for the whole process.

    Raises:
        UsageError: for a bad file.
    """
    won = {k.removeprefix(_PREFIX): v for k, v in vars(given).items() if k.startswith(_PREFIX)}
    given.study = study_file.read(given.file, won)
    said = given.study.own
    flags = [f"--{key}" if value is True else f"--{key}={value}" for key, value in said.items()]
    try:
        own = parser.parsed(parser.of_command("run"), [str(given.file), *flags])
    except UsageError as error:
        raise UsageError(f"{given.file}: {study_file.in_its_words(error)}") from error
    for key in said.keys() - given.options.keys():
        setattr(given, key, getattr(own, key))


def run(given: argparse.Namespace) -> int:
    """Run the command; return the exit status, which is that of the first run that failed."""
    file: StudyFile = given.study
    root = given.output or Path("results") / slug(file.path.stem)
    if given.dry_run:
        _print_plan(file, root, given.force)
        return 0
    with signals.deferred():
        done, failure = completed(file, root, force=given.force)
        if jax.process_index() == 0:
            for name, runs in united.tables(done).items():
                print(text(*united.write(runs, root / name)))
                print(f"results in {root / name}", flush=True)
    return exit_status.ended(*failure) if failure else 0


def _print_plan(file: StudyFile, root: Path, force: bool) -> None:
    """Print the parts of each run, which are done, and the time expected."""
    paths: dict[Run, Path] = {}
    total: list[plan.Part] = []
    jobs = _jobs(file, root)
    for one in file.runs:
        missing = [run for run in one.after if run not in paths]
        is_later = bool(one.after) and not missing
        job = job_of(one, [paths[run] for run in one.after]) if is_later else jobs[one]
        path = folder_of(one, job, root)
        parts = plan.parts_of(job.study, path, force=force, rough=job.rough)
        if missing:
            parts = plan.repeated(parts, later.places(_given(one), one.after))
            plan.show([f"{one}: to do after {missing[0]}, {plan.time_of(parts)}"])
        else:
            plan.show(plan.lines(str(one), parts))
        if all(part.is_done for part in parts):
            paths[one] = path
        total += parts
    runs = plan.counted(len(file.runs), "run")
    whole = f"{'all ' if len(file.runs) > 1 else ''}{runs}, in {root}: {plan.total(total)}"
    plan.show([whole, *plan.basis(total)])


def completed(
    file: StudyFile, root: Path, *, force: bool, silent: bool = False
) -> tuple[list[Done], tuple[int, str] | None]:
    """Run what is missing of a file; if a run fails, the others go on.

    Args:
        file: the file.
        root: the folder of its results.
        force: whether to run again, and replace the results.
        silent: whether to show no progress.

    Returns:
        What is done, and the exit status and the line of an error if not all is.

    Raises:
        UsageError: for a run that cannot be, before any is run.
    """
    jobs = _jobs(file, root)
    done: dict[Run, Done] = {}
    failed: dict[Run, tuple[int, str]] = {}
    for number, one in enumerate(file.runs, 1):
        hosts.check_signals()
        place = f"run {number} of {len(file.runs)}: {one}"
        try:
            if missing := [run for run in one.after if run not in done]:
                raise UsageError(f"it needs {missing[0]}, which failed")
            job = job_of(one, [done[run].path for run in one.after]) if one.after else jobs[one]
            done[one] = _complete(one, job, root, force, "" if silent else place)
        except (Exception, SystemExit) as error:  # the others go on
            failed[one] = exit_status.judged(error)
            say(f"{place} failed: {failed[one][1]}")
    if not failed:
        return list(done.values()), None
    (first, (status, line)), *_ = failed.items()
    count = f"{len(failed)} of {plan.counted(len(file.runs), 'run')} failed"
    return list(done.values()), (status, f"{file.path}: {count}; {first}: {line}")


def _jobs(file: StudyFile, root: Path) -> dict[Run, Job]:
    """Return what the runs of a file ask for, of those after others without the parameters.

    Raises:
        UsageError: for one that cannot be run.
    """
    Folder(root).check(())  # of the tables of all runs
    jobs: dict[Run, Job] = {}
    with _notes_once():
        for one in file.runs:
            try:
                for earlier in one.after:
                    path = folder_of(earlier, jobs[earlier], root)
                    later.check(one, _given(one), earlier, path)
                jobs[one] = job_of(one)
            except UsageError as error:
                raise UsageError(f"{file.path}: {one}: {error}") from error
    return jobs


def _complete(one: Run, job: Job, root: Path, force: bool, place: str) -> Done:
    """Run what is missing of one run of a file, in its folder; `place` is shown, "" for nothing."""
    path = folder_of(one, job, root)
    is_done = not force and job.study.open(Folder(path)).complete
    if place and jax.process_index() == 0:
        say(f"{place} (done before)" if is_done else place)
    silent = is_done or not place
    with completed_in(path, job.study, job.files, force=force, silent=silent) as results:
        if jax.process_index() == 0:
            job.own(results)
        return Done(one, job, path)


def job_of(run: Run, at: Sequence[Path] = ()) -> Job:
    """Return what one run of a file asks for.

    Args:
        run: the run.
        at: the results folders of the earlier runs at whose checkpoints it measures; none if
            these have not run.

    Raises:
        UsageError: if it cannot be run.
    """
    given = _given(run)
    if at:
        given.at = [*(given.at or ()), *at]
        given.options["at"] = "--at"
    elif run.after:  # the parameters are not known yet
        given.at = None
        for name in _OF_PLACE & vars(given).keys():
            setattr(given, name, None)
            given.options.pop(name, None)
    module = importlib.import_module(f"experiments.command_line.{run.command}")
    return module.job(given)


def _given(run: Run) -> argparse.Namespace:
    """Return the arguments of a run, but for `--at` earlier runs."""
    given = parser.parsed(study_words.parser_of(run.command), run.arguments)
    for name in {key.replace("-", "_") for key in run.shared} - _MEANT:
        given.options.pop(name, None)  # no note, since it need not have an effect on all parts
    return given


def folder_of(run: Run, job: Job, root: Path) -> Path:
    """Return the results folder of a run: one with its identity, whatever the run was called."""
    runs, identity = root / "runs", job.study.identity
    there = sorted(runs.glob(f"*-{identity}")) if runs.is_dir() else []
    return there[0] if there else runs / f"{study_file.file_name(run.part, run.choices)}-{identity}"


@contextlib.contextmanager
def _notes_once() -> Iterator[None]:
    """Print each line once that the block prints to the error stream."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        yield
    for line in dict.fromkeys(said.getvalue().splitlines()):
        say(line)
