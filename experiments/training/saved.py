"""Pytrees that orbax saved, read without the program that saved them."""

import contextlib
import gc
import logging
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from analysis.files import check_plain
from experiments.system.errors import UsageError
from experiments.system.text import one_line

Tree = TypeVar("Tree")

_ITEM = "_METADATA"
"""The file that orbax writes in the folder of a pytree."""


def steps(folder: Path) -> dict[int, Path]:
    """Return the folders of the steps that orbax's checkpoint manager saved, in order of steps."""
    found = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        # Others are of checkpoints that are being written.
        if (name := re.fullmatch(r"(?:\w+_)?(\d+)", path.name)) and path.is_dir():
            found[int(name[1])] = path
    return dict(sorted(found.items()))


def restored(like: Tree, folder: Path, step: int | None = None) -> tuple[Tree, int]:
    """Return a pytree with the arrays that orbax saved of it in a folder, and their step.

    Args:
        like: the pytree, as for `fitted`.
        folder: the folder of a checkpoint, or of those of a checkpoint manager.
        step: the step; by default the last one.

    Raises:
        UsageError: if there is no such checkpoint, it is damaged, or it does not fit.
    """
    path, found = _find(folder, step)
    with refusing_damage(path):
        tree = read(path)
    try:
        return fitted(like, tree), found
    except ValueError as error:
        raise UsageError(f"{path} does not fit: {error}") from error


def _find(folder: Path, step: int | None) -> tuple[Path, int]:
    """Return the folder of the pytree that orbax saved at a step, and the step, 0 if unknown."""
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder}")
    of_step = {} if (folder / _ITEM).is_file() else steps(folder)
    if step is not None and step not in of_step:
        known = f"it has {listed(of_step)}" if of_step else "it is not one of a checkpoint manager"
        raise UsageError(f"{folder} has no step {step}; {known}")
    found = max(of_step, default=0) if step is None else step
    place = of_step.get(found, folder)
    items = (
        [place]
        if (place / _ITEM).is_file()
        else sorted(path.parent for path in place.glob(f"*/{_ITEM}"))
    )
    if len(items) != 1:
        several = ", ".join(path.name for path in items)
        what = f"several pytrees ({several}): name one" if items else "no pytree that orbax saved"
        raise UsageError(f"{place} holds {what}")
    return items[0], found


def listed(found: Any) -> str:
    """Return steps as text, the first and the last of many."""
    texts = [f"{step}" for step in found]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:6], "...", *texts[-5:]])


def read(folder: Path) -> Any:
    """Return the pytree in a folder as nested dicts and lists of NumPy arrays.

    Raises:
        Exception: of any type, if it is damaged (`refusing_damage`).
    """
    import orbax.checkpoint as ocp

    check_files(folder)
    with ocp.PyTreeCheckpointer() as checkpointer:
        about: Any = checkpointer.metadata(folder.absolute())
        about = getattr(about, "item_metadata", about)  # since orbax 0.11.20
        about = getattr(about, "tree", about)
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), about)
        return checkpointer.restore(folder.absolute(), restore_args=as_numpy)


def fitted(like: Tree, saved: Any) -> Tree:
    """Return a pytree with the arrays that were saved of it.

    Leaves are found by their path, without the last key of a flax variable, so that a module, its
    state and the state as a dict are saved alike.

    Args:
        like: the pytree, with arrays or their shapes. Its floating-point arrays must have been
            saved; other leaves stay as they are if they were not.
        saved: nested containers of NumPy arrays, as `read` returns.

    Raises:
        ValueError: if it does not fit; the message names the first path that differs.
    """
    from flax import nnx

    if isinstance(like, nnx.Module):  # as a pytree it would forget which variables are shared
        graph, state = nnx.split(like)
        return nnx.merge(graph, fitted(state, saved))
    found = {_path(keys): leaf for keys, leaf in jax.tree_util.tree_leaves_with_path(saved)}
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    filled = []
    for keys, leaf in leaves:
        path, kind = _path(keys), getattr(leaf, "dtype", None)
        if path in found and kind is not None:
            array, is_key = found.pop(path), jnp.issubdtype(kind, jax.dtypes.prng_key)
            own = jax.eval_shape(jax.random.key_data, leaf) if is_key else leaf
            if _kind(array) != _kind(own):
                raise ValueError(f"{path or 'the array'} is {_kind(array)}, not {_kind(own)}")
            array = jnp.asarray(array)
            impl = jax.random.key_impl(leaf) if is_key else None
            filled.append(jax.random.wrap_key_data(array, impl=impl) if is_key else array)
        elif kind is not None and jnp.issubdtype(kind, jnp.floating):
            raise ValueError(f"it has no {path or 'single array'}")
        else:
            found.pop(path, None)
            filled.append(leaf)
    if found:
        raise ValueError(f"it has {next(iter(found)) or 'a single array'}, which is not expected")
    return jax.tree.unflatten(structure, filled)


def _path(keys: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(keys, simple=True, separator="/").removesuffix("/value")


def _kind(array: Any) -> str:
    return f"{array.dtype}[{', '.join(map(str, np.shape(array)))}]"


def check_files(folder: Path) -> None:
    """Raise ValueError if something below a folder is no regular file.

    Orbax would wait forever on a pipe.
    """
    for path in files(folder):
        check_plain(path)


def files(folder: Path) -> list[Path]:
    """Return all paths below a folder except folders."""
    found = sorted(folder.rglob("*"))
    return [path for path in found if path.is_symlink() or not path.is_dir()]


@contextlib.contextmanager
def refusing_damage(folder: Path, advice: str = "") -> Iterator[None]:
    """Turn any error of the block into a UsageError, since orbax raises many kinds.

    Args:
        folder: the folder of the checkpoints.
        advice: what to do about it.
    """
    # The first failing array is enough; asyncio would report all others, and absl each retry.
    loggers = [logging.getLogger(name) for name in ("asyncio", "absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        reason = one_line(" ".join(str(error).split()), 200)
        traceback.clear_frames(error.__traceback__)
        gc.collect()  # asyncio reports failures on garbage collection
        raise UsageError(f"{folder} holds a damaged checkpoint ({reason}){advice}") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
