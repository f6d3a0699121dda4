"""The machine of a benchmark: its processor and load, and the versions of libraries."""

import os
import platform
from pathlib import Path
from typing import Any

from experiments.running.results import provenance
from experiments.system.device import num_cores


def machine() -> dict[str, Any]:
    """Return the processor, the cores that this process may use, and the run's provenance."""
    return {"processor": _processor(), "cores": num_cores(), **provenance()}


def load() -> float | None:
    """Return the load average of the last minute, or None if it is unknown."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
