"""Measures gradient estimators for discrete random variables: bias, variance, cost, training."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from experiments.system.version import version

        return version("estimax")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
