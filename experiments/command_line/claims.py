"""The command `claims`: what papers and theorems say, tested."""

import argparse

import analysis
from experiments.command_line import options, unused
from experiments.command_line.output import TABLE_FILES, conclude, opened, say
from experiments.running.progress import Progress
from experiments.studies.claims import BUDGETS, STUDIES, ClaimStudy
from experiments.studies.claims import decide as claims
from experiments.system.errors import UsageError

_EPILOG = """
studies:     {studies}
budgets:     smoke (runs through, decides nothing), laptop (over an hour on two cores)
A killed run continues with the study where it stopped. For example:

  estimax claims --list
  estimax claims --only gumbel-rao
"""


def add(commands) -> None:
    """Add the command to the parser."""
    command = commands(
        "claims", _run, "Test what papers and theorems claim: reproduced, not, or undecided."
    )
    command.epilog = _EPILOG.format(studies=", ".join(one.name for one in STUDIES))
    option = command.add_argument
    options.add_budget(command, BUDGETS)
    option(
        "--only",
        nargs="+",
        type=options.text,
        metavar="TEXT",
        help="run only studies whose names contain one of these texts (default: all)",
    )
    option("--list", action="store_true", help="list studies, claims and tests, and run nothing")
    options.add_output(command, "run again what is there, replace other results")


def _run(given: argparse.Namespace) -> None:
    chosen = _chosen(given.only)
    if given.list:
        unused.of_listing(given)
        unused.without_effect(given, "with --list", "budget")
        print("\n".join(map(_described, chosen)))
        return
    configuration = claims.configuration(STUDIES, given.budget)
    with opened(given, f"claims-{given.budget}", configuration, TABLE_FILES) as results:
        if results.complete:
            say(f"{results.folder} holds this run already (--force runs it again)")
        else:
            with Progress(len(chosen)) as progress:
                claims.decide(STUDIES, chosen, given.budget, results, progress)
        conclude(results, analysis.claims_table, {})


def _chosen(texts: list[str] | None) -> tuple[ClaimStudy, ...]:
    """Return the studies whose names have one of the texts in them, all where none is given."""
    for text in texts or []:
        if not any(text in one.name for one in STUDIES):
            raise UsageError(f"no study has {text!r} in its name (--list names them)")
    return tuple(one for one in STUDIES if any(text in one.name for text in texts or [""]))


def _described(study: ClaimStudy) -> str:
    lines = [f"{study.name}: {study.title}"]
    for claim in study.claims:
        low, high, effect = claim.region
        ends = f"from {low:.3g} to {high:.3g}, effect {effect:.3g}"
        sure = f"confidence {claim.confidence:g}, power {claim.power:g}"
        lines.append(f"  {claim.statement} ({claim.source})")
        lines.append(f"    {claim.quantity}: {ends}, {sure}")
    return "\n".join(lines)
