"""What is imported before a command runs: JAX and slow libraries only where they are used."""

import json
import os
import subprocess
import sys

import pytest

from experiments.command_line.parser import COMMANDS

SLOW = ["flax", "matplotlib", "optax", "orbax", "pandas", "scipy"]
_PROBE = """
import json, sys
from experiments.command_line import main
found = []
for arguments in json.loads(sys.argv[1]):
    try:
        status = main(arguments)
    except SystemExit as exit:
        status = exit.code
    loaded = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    found.append([arguments, status, loaded])
print(json.dumps(found), file=sys.__stderr__)
"""


def imported(libraries, *calls):
    """Return the status of calls in one new process, and which libraries are imported by then."""
    command = [sys.executable, "-c", _PROBE, json.dumps(calls), json.dumps(libraries)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stderr.splitlines()[-1]), done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--help"], 0), (["--version"], 0), (["compar"], 2), ([], 2)]
)
def test_without_a_command_nothing_slow_is_imported(arguments, status):
    found, out = imported([*SLOW, "jax", "numpy"], arguments)
    assert found == [[arguments, status, []]]
    assert all(name in out for name in COMMANDS) == (arguments == ["--help"])


def test_a_refused_command_imports_jax_alone():
    names = {
        "compare": (["--problem", "Nothing"], ["--estimators", "Nothing[1]"]),
        "temperature": (["--problem", "Nothing"], ["--estimators", "antithetic", "Nothing"]),
        "diagnose": (["nothing.py:model"],),
        "train": (
            ["--problem", "Nothing", "--estimators", "Exact"],
            ["--estimators", "Nothing"],
            ["--estimators", "Exact", "--measure", "Nothing"],
            ["--estimators", "Exact", "--optimiser", "Nothing"],
            ["--estimators", "Exact", "--schedule", "temperature=Nothing"],
        ),
        "reproduce": (["nothing"], []),
        "claims": (["--only", "nothing"],),
        "figure": (["nothing"],),
        "atlas": (["--points", "nothing"],),
        "run": (["no/such/study.toml"],),
        "diff": (["no/such/folder", "no"],),
        "merge": (["no/such/folder", "--output", "no"],),
        "report": (["no/such/folder"],),
        "fetch": (["nothing"],),
        "benchmark": (["--estimators", "Nothing"],),
    }
    assert names.keys() == COMMANDS.keys()
    calls = [[name, *given] for name, wrong in names.items() for given in wrong]
    calls += [[name, "--nothing"] for name in COMMANDS]
    helps = [[name, "--help"] for name in COMMANDS]
    found, _ = imported(SLOW, *calls, *helps)
    assert found == [[call, 2, []] for call in calls] + [[call, 0, []] for call in helps]


def test_no_backend_of_matplotlib_is_needed():
    code = """
import sys
from experiments.command_line import main
sys.argv = ["estimax", "compar"]
assert main() == 2
import matplotlib
print(matplotlib.get_backend())
"""
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.lower() == "agg\n"
