"""The temperature sweep: each estimator at every temperature, or once if it has none."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from estimators import Estimator
from experiments.measurement.rows import Row
from experiments.running.study import Study
from experiments.studies.comparison.point_study import point_study
from experiments.studies.comparison.settings import CompareSettings

TEMPERATURES = tuple(float(t) for t in np.round(np.geomspace(0.05, 5, 13), 3))
_LEARNED = ("log_temperature_change",)
TOO_SMALL = "too few samples for this temperature"


def temperature_sweep(
    settings: CompareSettings, temperatures: Sequence[float] = TEMPERATURES
) -> Study[Sequence[Estimator]]:
    """Return the study of estimators at each temperature, or once if they have none.

    Estimators that learn their temperature keep the one that they are given.
    """
    return point_study(
        dataclasses.replace(settings, held=_LEARNED),
        "temperature",
        lambda estimator: at_temperatures(estimator, temperatures),
        _caution,
        temperatures=list(temperatures),
    )


def _caution(columns: Row, samples: int) -> str:
    """Return a note if the temperature needs more samples."""
    temperature = columns.get("p_temperature")
    small = temperature is not None and samples < needed_samples(temperature)
    return TOO_SMALL if small else ""


def has_temperature(estimator: Estimator) -> bool:
    """Return whether an estimator has a temperature."""
    return "temperature" in getattr(type(estimator), "__dataclass_fields__", {})


def at_temperatures(estimator: Estimator, temperatures: Sequence[float]) -> list[Estimator]:
    """Return an estimator at each temperature, or alone if it has none."""
    if not (temperatures and has_temperature(estimator)):
        return [estimator]
    return [dataclasses.replace(estimator, temperature=t) for t in temperatures]  # type: ignore[type-var]


def needed_samples(temperature: float) -> float:
    """Return the minimum number of samples at a temperature, 100 / temperature.

    At low temperatures gradients are rarely large: smaller samples miss both mean and variance.
    """
    return 100 / temperature
