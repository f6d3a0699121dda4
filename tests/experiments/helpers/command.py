"""What tests of the command line share: calls that are refused, and a user's files."""

import pandas as pd

from experiments.command_line import main
from experiments.running.results import FILE
from experiments.system.folder import OWN

SMALL = ["--problem", "Quadratic", "--samples", "64"]


def refused(capsys, *arguments):
    """Run, expect exit status 2 and one line on the error stream; return it."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit:  # from the parser
        status = exit.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert printed.err.startswith("estimax: ") and printed.err.count("\n") == 1, printed.err
    return printed.err


def contents(folder):
    """Return the files of a folder; what estimax keeps for itself is another matter."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != OWN}


def numbers(folder, **where):
    """Return the rows of a finished run with these values, but those of times."""
    table = pd.read_parquet(folder / FILE)
    assert table.attrs["complete"]
    table = table[table["metric"] != "seconds"]
    for name, value in where.items():
        table = table[table[name] == value]
    return table.reset_index(drop=True)


USER_FILE = """
import dataclasses
import jax.numpy as jnp
from estimators import Bernoulli, Estimator, pytree, replace_gradient, static
from experiments.problems.toy import Toy

@dataclasses.dataclass(frozen=True)
class Cubic(Toy):
    logit: float = 0.5

    def logits(self):
        return jnp.full(2, self.logit)

    def f(self, logits, sample):
        return jnp.sum(sample) ** 3

@dataclasses.dataclass(frozen=True)
class Wrong(Cubic):
    def f(self, logits, sample):
        return not_defined(sample)

@pytree
class Scaled(Estimator):
    scale: float = static(default=2.0)

    distributions = (Bernoulli,)
    differentiates = True
    paper = ""

    @property
    def unbiased(self):
        return "no"

    def evaluations(self, distribution):
        return 1

    @classmethod
    def examples(cls):
        return [cls()]

    def estimate(self, key, distribution, f):
        return f(replace_gradient(distribution.sample(key), self.scale * distribution.mean))

@pytree
class Raising(Scaled):
    calls = []

    def estimate(self, key, distribution, f):
        self.calls.append(None)
        if len(self.calls) > 1:  # the first only finds out what a run would take
            raise RuntimeError("two" + chr(10) + "lines")
        return super().estimate(key, distribution, f)
"""


WRONG_CLASSES = """
import sys

class Undecorated(Scaled):
    pass

class NoPytree(Scaled):
    def estimate(self, key, distribution, f):
        return f(distribution.sample(key))

@dataclasses.dataclass(frozen=True, eq=False)
class OnlyDataclass(Scaled):
    other: float = 1.0

@pytree
class Nothing(Scaled):
    def estimate(self, key, distribution, f):
        f(distribution.sample(key))

@pytree
class Text(Scaled):
    def estimate(self, key, distribution, f):
        return "text"

@pytree
class Integer(Scaled):
    def estimate(self, key, distribution, f):
        return 3

@pytree
class Vector(Scaled):
    def estimate(self, key, distribution, f):
        return jnp.zeros(3)

@pytree
class Exits(Scaled):
    def estimate(self, key, distribution, f):
        sys.exit()

@pytree
class Recursive(Scaled):
    def estimate(self, key, distribution, f):
        return self.estimate(key, distribution, f)

@pytree
class Signature(Scaled):
    def estimate(self, key):
        return jnp.zeros(())

@pytree
class Many(Scaled):
    def evaluations(self, distribution):
        return "many"

@pytree
class Unbiased(Scaled):
    unbiased = 7

@pytree
class Paper(Scaled):
    paper = ["a paper"]

class Raw(Cubic):
    pass

class NoDataclass(Toy):
    logits = Cubic.logits
    f = Cubic.f

@dataclasses.dataclass
class Melted(Toy):
    logits = Cubic.logits
    f = Cubic.f

@dataclasses.dataclass(frozen=True)
class Unfinished(Toy):
    def logits(self):
        return jnp.zeros(2)

@dataclasses.dataclass(frozen=True)
class NotEvaluated(Cubic):
    def log_weight(self, params, key, example):
        return 0.0

@dataclasses.dataclass(frozen=True)
class VectorLoss(Cubic):
    def loss(self, params, estimator, key, batch):
        return params["logits"]

@dataclasses.dataclass(frozen=True)
class ListOfParams(Cubic):
    def initial(self, key):
        return [1, 2]

@dataclasses.dataclass(frozen=True)
class ExitingProblem(Cubic):
    def logits(self):
        raise SystemExit(0)
"""
