"""The device and the compilation cache of JAX, chosen before JAX starts."""

import contextlib
import os
import platform
from pathlib import Path
from typing import Any, Literal

import jax

from experiments.system import paths
from experiments.system.errors import UsageError

Device = Literal["auto", "cpu", "gpu"]

PRECISION = "highest"
"""Precision of matrix products while measuring; reduced precision looks like bias."""

_QUICK = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


def quick_compilation() -> dict[str, Any]:
    """Return compiler options that halve compilation on a CPU, for programs that run for seconds.

    They are as fast, within a tenth, and compute the same numbers.
    """
    return dict(_QUICK) if jax.devices()[0].platform == "cpu" else {}


def start(device: Device, *, distributed: bool = False) -> None:
    """Choose the device, one JAX device for each CPU core, and the compilation cache.

    Args:
        device: the device.
        distributed: whether this is one process of several, started by Slurm, on a TPU pod or by
            another launcher that JAX detects.

    Raises:
        UsageError: if the device is missing, or JAX detects no launcher.
    """
    if distributed:
        _join()
    use_all_cores()
    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_compilation_cache_dir", str(paths.cache() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    try:
        found = sorted({one.platform for one in jax.devices()})
    except RuntimeError as error:
        named = os.environ.get("JAX_PLATFORMS", "")
        about = f"JAX_PLATFORMS={named}: " if named else ""
        raise UsageError(f"{about}JAX finds no device ({' '.join(str(error).split())})") from error
    if device == "gpu" and "gpu" not in found:
        raise UsageError(
            f"--device gpu: JAX finds no GPU here, only {', '.join(found)}; "
            "the [cuda] extra installs JAX for one"
        )


def use_all_cores() -> None:
    """Make one JAX device of each CPU core, unless JAX is running already.

    Samples are sharded over them; other code is not slowed down.
    """
    with contextlib.suppress(RuntimeError):  # it is running, as in a test
        jax.config.update("jax_num_cpu_devices", num_cores())


def _join() -> None:
    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"--distributed: JAX finds no cluster here ({reason}); start it with srun, mpirun or "
            "on a TPU pod, once per host"
        ) from error


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
