"""A run's identity: a hash of everything that determines its numbers."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import jax

from experiments.running import code
from experiments.system.version import version

_MODES = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
)
VERSIONED = ("jax", "jaxlib", "numpy", "optax", "flax")
"""Packages whose versions are part of the environment."""


def identity(configuration: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Return the hash of a run's settings and of its environment.

    Args:
        configuration: the settings, as plain values; for a user file they hold its digest.
        environment: the result of `environment`.
    """
    text = json.dumps([dict(configuration), dict(environment)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def environment(modules: Collection[str] = ()) -> dict[str, str]:
    """Return what determines a run's numbers besides its settings.

    These are JAX's modes, the platform, the number of devices, package versions and the digest of
    the code as it is on disk now: ask before computing, since files may be edited meanwhile.

    Args:
        modules: the names of the modules that compute the numbers.
    """
    devices = jax.devices()
    return {
        **{name: str(getattr(jax.config, name)) for name in _MODES},
        **{name: version(name) for name in VERSIONED},
        "platform": devices[0].platform,
        "devices": str(len(devices)),
        "code": code.digest(modules),
    }
