"""Runs of the command in processes of their own, started in a fraction of a second.

A process that has imported everything, and has not started JAX yet, forks one for each run.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys

_SERVER = """
import json, os, resource, sys
import jax, optax, flax.nnx, orbax.checkpoint, matplotlib.pyplot, scipy.stats
from analysis import figures, report
from experiments.command_line import main, parser
for name in parser.COMMANDS:
    parser.of_command(name)
from experiments.running import progress
progress.SECONDS_BETWEEN_NOTES = 0.1  # tests wait for a note
for line in sys.stdin:
    request = json.loads(line)
    if (child := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (600, 600))  # what nobody waits for ends too
        os.environ.update(request["environment"])
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1), os.dup2(log, 2)
        status = 1
        try:
            sys.argv[1:] = request["arguments"]
            status = main()
        except SystemExit as exit:
            status = exit.code
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


HANG = 1200
"""Seconds after which nothing more is waited for: far more than anything takes under load."""


class Server:
    """Forks runs, one at a time."""

    def __init__(self, process, folder):
        self._process, self._folder, self._count, self._run = process, folder, 0, None

    def start(self, *arguments, **environment):
        """Start a run; return its process and the file of what it prints."""
        if self._run:  # of a test that failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._run, signal.SIGKILL)
            self.wait()
        self._count += 1
        log = self._folder / f"run-{self._count}.log"
        log.touch()  # which the run itself opens late on a loaded machine
        request = {"arguments": list(map(str, arguments)), "log": str(log)}
        print(
            json.dumps(request | {"environment": environment}),
            file=self._process.stdin,
            flush=True,
        )
        self._run = int(self._process.stdout.readline())
        return self._run, log

    def wait(self):
        """Return the status with which the run ended, the negated signal of a killed one."""
        self._run = None
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def server(folder):
    """Start a process that forks runs; their logs and their compilation cache go to `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # so that all that it forked ends with it
        text=True,
    )
    try:
        yield Server(process, folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
