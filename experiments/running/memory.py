"""Results of slow functions, kept in the cache folder: trained starting points, tuned leaves.

What is kept is found by everything that determines it: the function's settings and the content of
its arrays, JAX's modes, versions, devices, and the code. A run that finds it has the numbers, to
the bit, of one that does not. The folder may be removed at any time.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.files import read_plain, write_bytes
from experiments.running import code
from experiments.running.identity import VERSIONED, environment, identity
from experiments.system import paths
from experiments.system.device import processor

T = TypeVar("T")

LARGEST = 2**25
"""Bytes of the largest result that is kept."""

MOST = 2**28
"""Bytes of all that is kept; what was used last stays."""

_KNOWN = (*code.PACKAGES, *VERSIONED, "builtins")


def folder() -> Path:
    """Return the folder of what is kept."""
    return paths.cache() / "points"


class Memory:
    """Keeps results of functions that some modules compute from some data."""

    def __init__(self, modules: Collection[str], data: Any = None):
        """Prepare to keep results; the code and the data are read now.

        Args:
            modules: the names of the modules that compute them. If any is the user's, nothing is
                kept, since what else it reads is not known.
            data: a pytree of arrays that the modules use.
        """
        known = all(name.partition(".")[0] in _KNOWN for name in modules)
        # Of several hosts, some might find what others compute.
        self._about = _about(modules, data) if known and jax.process_count() == 1 else None

    def kept(
        self,
        settings: Mapping[str, Any],
        arrays: Any,
        like: T,
        compute: Callable[[], tuple[T, str]],
    ) -> tuple[T, str]:
        """Return the result of a function, computed only if it is not kept; may run in a thread.

        Args:
            settings: what it computes, and with what settings, as plain values.
            arrays: a pytree of all arrays on which the result depends, typed random keys included.
            like: a pytree with the structure, shapes and types of the result.
            compute: returns the result, a pytree of arrays, and a note on it.
        """
        if self._about is None:
            return compute()
        name = identity({**settings, "arrays": _digest(arrays)}, self._about)
        file = folder() / f"{name}.npz"
        found = _read(file, like)
        if found is None:
            found = compute()
            _write(file, *found)
        return found


def _about(modules: Collection[str], data: Any) -> dict[str, str]:
    """Return what determines results besides settings and arrays."""
    return {
        **environment(modules),
        "data": _digest(data),
        "device": jax.devices()[0].device_kind,
        "processor": processor(),
        "flags": os.environ.get("XLA_FLAGS", ""),
        "unoptimised": str(jax.config.values["jax_disable_most_optimizations"]),
    }


def _digest(tree: Any) -> str:
    """Return the hash of the structure, types and content of a pytree of arrays."""
    total = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(tree):
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.ascontiguousarray(leaf)
        weak = getattr(leaf, "weak_type", isinstance(leaf, int | float))
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} {weak}\n".encode())
        total.update(array.data)
    return total.hexdigest()


def _read(file: Path, like: T) -> tuple[T, str] | None:
    """Return what is kept in a file; None if it is missing, damaged or of another kind."""
    leaves, structure = jax.tree.flatten(like)
    try:
        with np.load(io.BytesIO(read_plain(file, LARGEST)), allow_pickle=False) as archive:
            note = json.loads(str(archive["note"]))
            arrays = [archive[str(place)] for place in range(len(archive.files) - 1)]
        file.touch()
    except Exception:  # numpy and zipfile raise many kinds for a damaged file
        return None
    kinds = [(leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves]
    if [(array.shape, array.dtype) for array in arrays] != kinds or not isinstance(note, str):
        return None
    return jax.tree.unflatten(structure, map(jnp.asarray, arrays)), note


def _write(file: Path, result: Any, note: str) -> None:
    """Keep a result in a file, if possible."""
    content = io.BytesIO()
    leaves = {
        str(place): leaf for place, leaf in enumerate(map(np.asarray, jax.tree.leaves(result)))
    }
    np.savez(content, allow_pickle=False, note=np.array(json.dumps(note)), **leaves)
    if content.tell() <= LARGEST:
        with contextlib.suppress(OSError):  # the results do not depend on it
            write_bytes(file, content.getvalue())
            _forget(file.parent)


def _forget(place: Path) -> None:
    """Remove what has not been used for longest, so that the rest fits."""
    about = [(one.stat(), one) for one in place.iterdir()]
    total = 0
    for status, one in sorted(about, key=lambda each: each[0].st_mtime, reverse=True):
        total += status.st_size
        if total > MOST:
            one.unlink(missing_ok=True)
