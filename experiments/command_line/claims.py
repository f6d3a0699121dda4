"""The command `claims`: tests of claims of papers and theorems."""

import argparse
from collections.abc import Sequence

from experiments.command_line import jobs, options, unused
from experiments.studies.claims import SCALES, STUDIES, ClaimStudy
from experiments.studies.claims.study import claims_study

_EPILOG = """\
{studies}

budgets:
  smoke   a quick check without verdicts
  laptop  over an hour on two cores

An interrupted run continues with the study that was interrupted. For example:

  estimax claims --list
  estimax claims --only gumbel-rao
"""


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    command.epilog = _EPILOG.format(
        studies=options.listed("studies", (one.name for one in STUDIES))
    )
    option = command.add_argument
    options.add_scale(command, SCALES)
    option(
        "--only",
        nargs="+",
        type=options.text,
        metavar="TEXT",
        help="run only studies whose names contain one of these texts (default: all)",
    )
    option(
        "--list",
        action="store_true",
        help="list the studies, with their claims and tests, without running them",
    )
    options.add_output(command)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    if given.list:
        unused.of_listing(given)
        unused.without_effect(given, "with --list", "budget")
        print("\n".join(map(_described, _chosen(given))))
        return
    jobs.run(given, job(given))


def job(given: argparse.Namespace) -> jobs.Job:
    """Return what the arguments ask for."""
    return jobs.Job(claims_study(STUDIES, _chosen(given), given.budget))


def _chosen(given: argparse.Namespace) -> Sequence[ClaimStudy]:
    return options.containing(given.only, {one.name: one for one in STUDIES}, "study") or STUDIES


def _described(study: ClaimStudy) -> str:
    lines = [f"{study.name}: {study.title}"]
    for claim in study.claims:
        low, high, effect = claim.region
        ends = f"from {low:.3g} to {high:.3g}, effect {effect:.3g}"
        sure = f"confidence {claim.confidence:g}, power {claim.power:g}"
        lines.append(f"  {claim.statement} ({claim.source})")
        lines.append(f"    {claim.quantity}: {ends}, {sure}")
    return "\n".join(lines)
