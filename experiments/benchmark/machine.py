"""The machine of a benchmark: its processor and load, and the versions of libraries."""

import os
from typing import Any

from experiments.running.results import provenance
from experiments.system.device import num_cores, processor


def machine() -> dict[str, Any]:
    """Return the processor, the cores that this process may use, and the run's provenance."""
    return {"processor": processor(), "cores": num_cores(), **provenance()}


def load() -> float | None:
    """Return the load average of the last minute, or None if it is unknown."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None
