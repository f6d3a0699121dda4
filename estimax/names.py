"""The public names of `estimators`."""

from types import ModuleType
from typing import Any

import estimators
from experiments.system import device

device.use_all_cores()  # before an estimator is built, which starts JAX

PUBLIC: dict[str, Any] = {
    name: value
    for name, value in vars(estimators).items()
    if not (name.startswith("_") or isinstance(value, ModuleType))
}
"""The names of `estimators` without its modules, with their values."""
