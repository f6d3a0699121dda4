"""An error in a user's code is one line with file and line, from every command."""

import traceback

import jax.numpy as jnp
import pytest

import estimax
from experiments.command_line import main

CODE = """
import dataclasses
import jax.numpy as jnp
from estimators import Bernoulli, Estimator, pytree, replace_gradient
from experiments.problems.toy import Toy

@dataclasses.dataclass(frozen=True)
class Good(Toy):
    def logits(self):
        return jnp.zeros(2)

    def f(self, logits, sample):
        return jnp.sum(sample) ** 3


    pass

@dataclasses.dataclass(frozen=True)
class Raises(Good):
    def f(self, logits, sample):
        return undefined(sample)  # in f

@dataclasses.dataclass(frozen=True)
class Vector(Good):  # a vector
    def f(self, logits, sample):
        return sample

@dataclasses.dataclass(frozen=True)
class NoLogits(Good):
    def logits(self):
        raise ValueError("none")  # in logits

@pytree
class Fails(Estimator):
    temperature: float = 1.0

    def estimate(self, key, distribution, f):
        return f(distribution.samples(key))  # in estimate

@pytree
class Broadcasts(Estimator):
    temperature: float = 1.0

    def estimate(self, key, distribution, f):
        return f(replace_gradient(distribution.sample(key), distribution.mean.sum()))  # shapes

def good():
    return (lambda logits, estimator, key, batch: estimator(key, Bernoulli(logits), jnp.sum),
            jnp.zeros(2), None)

def raises():
    def loss(logits, estimator, key, batch):
        return estimator(key, Bernoulli(logits), lambda z: undefined(z))  # in the loss
    return loss, jnp.zeros(2), None

def vector():
    def loss(logits, estimator, key, batch):
        return estimator(key, Bernoulli(logits), lambda z: z)  # a vector in the loss
    return loss, jnp.zeros(2), None

def order():
    def loss(logits, estimator, key, batch):
        return estimator(Bernoulli(logits), key, jnp.sum)  # the order
    return loss, jnp.zeros(2), None

def none():
    def loss(logits, estimator, key, batch):
        return estimator(key, Bernoulli(logits), lambda bits: None)  # nothing
    return loss, jnp.zeros(2), None

def array():
    def loss(logits, estimator, key, batch):
        return estimator(key, logits, jnp.sum)  # an array
    return loss, jnp.zeros(2), None

def unmade():
    raise OSError(2, "no model")  # in the model
"""

OF_PROBLEMS = [
    ("Raises", "DisARM", "in f", "NameError: name 'undefined'"),
    ("Vector", "DisARM", "a vector", "ValueError: f must map one sample to a scalar"),
    ("NoLogits", "DisARM", "in logits", "ValueError: none"),
    ("Good", "Fails", "in estimate", "AttributeError: 'Bernoulli' object has no attribute"),
    ("Good", "Broadcasts", "shapes", "ValueError: replace_gradient takes arrays of one shape"),
]
OF_MODELS = [
    ("raises", "DisARM", "in the loss", "NameError: name 'undefined'"),
    ("vector", "DisARM", "a vector in the loss", "ValueError: f must map one sample to a scalar"),
    (
        "none",
        "DisARM",
        "nothing",
        "TypeError: f must map one sample to a scalar, but returned None",
    ),
    ("order", "DisARM", "the order", "TypeError: the estimator takes (key, distribution, f), in"),
    ("array", "DisARM", "an array", "TypeError: the estimator takes a distribution, not an array"),
    ("unmade", "DisARM", "in the model", "no model"),
    ("good", "Fails", "in estimate", "AttributeError: 'Bernoulli' object has no attribute"),
    ("good", "Broadcasts", "shapes", "ValueError: replace_gradient takes arrays of one shape"),
]
COMMANDS = {
    "compare": ["--samples", "32"],
    "temperature": ["--samples", "32", "--temperatures", "0.5", "1"],
    "train": ["--steps", "2"],
    "diagnose": ["--samples", "32"],
}
CASES = [
    (command, *case)
    for command in COMMANDS
    for case in (OF_MODELS if command == "diagnose" else OF_PROBLEMS)
]


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "own.py"
    found.write_text(CODE)
    return found


@pytest.mark.parametrize(("command", "name", "estimator", "mark", "says"), CASES)
def test_every_command(command, name, estimator, mark, says, path, capsys):
    known = "GumbelSoftmax[0.5]" if command == "temperature" else "DisARM"
    own = f"{path}:{estimator}" if estimator != "DisARM" else known
    arguments = [f"{path}:{name}"] if command == "diagnose" else ["--problem", f"{path}:{name}"]
    chosen = ["--estimators", own, "--output", str(path.parent / "out")]
    assert main([command, *arguments, *COMMANDS[command], *chosen]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    number = next(i for i, text in enumerate(CODE.splitlines(), 1) if text.endswith(f"  # {mark}"))
    # Of a wrong value, the class that returned it: its first line, the decorator.
    numbers = [number, number - 1] if mark == "a vector" else [number]
    starts = [f"estimax: {path}, line {number}: " for number in numbers]
    assert line.startswith(tuple(starts)) and says in line


def test_python_keeps_the_traceback(path):
    for problem, estimator in ((f"{path}:Raises", "DisARM"), (f"{path}:Good", f"{path}:Fails")):
        with pytest.raises((NameError, AttributeError)) as found:
            estimax.compare(problem, estimator, samples=32)
        assert str(path) in {one.filename for one in traceback.extract_tb(found.tb)}

    def loss(logits, estimator, key, batch):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        estimax.diagnose(loss, jnp.zeros(2), estimators="DisARM", samples=32)


def test_classes_in_python():
    with pytest.raises(estimax.UsageError, match=r"DisARM is a class: pass an estimator, DisARM\("):
        estimax.compare("Quadratic", estimax.DisARM)
    with pytest.raises(estimax.UsageError, match="Quadratic is a class: pass a problem"):
        from experiments.problems.toy import Quadratic

        estimax.compare(Quadratic, "DisARM")
    with pytest.raises(TypeError, match="tuner takes an estimator, not <class"):
        estimax.tuner(estimax.REBAR)
