"""Measures gradient estimators for discrete random variables: bias, variance, cost, training.

    import estimax

    found = estimax.compare("VAE[size=4]", ["DisARM", estimax.GumbelSoftmax(0.5)])
    found                      # the table of the command `estimax compare`
    found.frame                # its numbers, tidy: one row per metric of an estimator
    found.plot(ax=ax)          # a figure, in your own axes

`compare`, `temperature`, `train` and `diagnose` run the studies of the commands of those names,
with the same numbers; `read` returns the results of an earlier run, `diff` compares two, `merge`
unites several, `run` runs a study file, and `load` returns what a training run has learned.
`with_tuner` makes an optimiser that also updates the estimators of a training loop of your own. The
names of `estimators` are also names of this package: `estimax.DisARM`, `estimax.Bernoulli`.

Importing this package is fast: JAX is imported with the first name that needs it. It then has a
device for each CPU core, as on the command line, unless it is running already.
"""

import importlib
from typing import TYPE_CHECKING, Any

from estimax import own_packages

own_packages.prefer()

if TYPE_CHECKING:
    from estimators import *  # noqa: F403
    from estimax.loading import Trained as Trained
    from estimax.loading import load as load
    from estimax.results import Result as Result
    from estimax.results import diff as diff
    from estimax.results import merge as merge
    from estimax.results import read as read
    from estimax.studies import compare as compare
    from estimax.studies import diagnose as diagnose
    from estimax.studies import temperature as temperature
    from estimax.studies import train as train
    from estimax.study_files import run as run
    from experiments.system.errors import UsageError as UsageError
    from experiments.training.tuning import tuner as tuner
    from experiments.training.tuning import with_tuner as with_tuner

    __version__: str

_MODULES = {
    "Result": "estimax.results",
    "Trained": "estimax.loading",
    "UsageError": "experiments.system.errors",
    "compare": "estimax.studies",
    "diagnose": "estimax.studies",
    "diff": "estimax.results",
    "load": "estimax.loading",
    "merge": "estimax.results",
    "read": "estimax.results",
    "run": "estimax.study_files",
    "temperature": "estimax.studies",
    "train": "estimax.studies",
    "tuner": "experiments.training.tuning",
    "with_tuner": "experiments.training.tuning",
}
"""The module of each public name that `estimators` does not have."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from experiments.system.version import version

        return version("estimax")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    if not name.startswith("_") and name in (known := _of_estimators()):
        return known[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({"__version__", *globals(), *_MODULES, *_of_estimators()})


def _of_estimators() -> dict[str, Any]:
    # Not by `from estimax import names`, which asks __getattr__ for it first.
    return importlib.import_module("estimax.names").PUBLIC
