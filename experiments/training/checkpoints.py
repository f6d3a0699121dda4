"""Checkpoints of a batch of runs: whole or not there at all, and only of the same configuration."""

import contextlib
import gc
import hashlib
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from analysis.files import check_plain, read_plain
from experiments.system.errors import UsageError
from experiments.training.run import State

_MOST_BYTES = 2**34  # of a file


class Checkpoints:
    """The newest checkpoint of a batch, in a folder of its own.

    What is kept is the state of all runs and their history: the rows so far, as plain values. A
    checkpoint is written under a temporary name and renamed, so that a kill leaves the one before;
    the digests of its files lie beside it.
    """

    def __init__(self, folder: Path, identity: str):
        """Look into a folder; nothing is written before `save`.

        Args:
            folder: the folder.
            identity: hash of the configuration; a checkpoint of another one is refused.
        """
        self.folder = folder
        self.identity = identity
        self._manager: ocp.CheckpointManager | None = None

    def restore(self, shape: Callable[[], State]) -> tuple[State, dict[str, Any]] | None:
        """Return the state and the history of the newest checkpoint, None where there is none.

        Args:
            shape: returns shapes, types and places of the state (`Batch.shape`).

        Raises:
            UsageError: for a checkpoint of another configuration, or a damaged one.
        """
        if not self.folder.exists():
            return None
        with self._refusing_damage():
            for path in self._inside(self.folder):  # orbax would wait on a pipe for good
                check_plain(path)
            step = self._open().latest_step()
            if step is None:
                return None
            self._check_files(step)
            history = self._read(step, history=ocp.args.JsonRestore())["history"]
            found = history["identity"]
        if found != self.identity:
            raise UsageError(
                f"{self.folder} holds a checkpoint of another configuration; choose another "
                "--output, or --force to begin anew"
            )
        with self._refusing_damage():
            state = self._read(step, state=ocp.args.StandardRestore(shape()))["state"]
            if checksums(state) != history["checksums"]:
                raise ValueError("its checksums are wrong")
        return state, history

    def save(self, step: int, state: State, history: dict[str, Any]) -> None:
        """Write a checkpoint unless it is there, and then remove the one before."""
        if self._open().latest_step() == step:
            return
        about = {"identity": self.identity, "checksums": checksums(state)}
        self._open().save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), history=ocp.args.JsonSave(history | about)
            ),
        )
        if jax.process_index() == 0:
            partial = self._seal.with_suffix(".partial")  # one process works in a folder
            partial.write_text(json.dumps({"step": step, "files": self._digests(step)}))
            partial.replace(self._seal)

    def _check_files(self, step: int) -> None:
        """Raise ValueError where a file of a step is not as it was written.

        Orbax would find out too, but while it reads others, whose failures cannot be caught.
        """
        if not self._seal.exists():
            return
        seal = json.loads(read_plain(self._seal, _MOST_BYTES))
        # Of another step where the process was killed before it could seal this one.
        if seal["step"] == step and seal["files"] != self._digests(step):
            raise ValueError("a file is not as it was written")

    @property
    def _seal(self) -> Path:
        """The file that holds the digests of the newest checkpoint's files."""
        return self.folder.with_name(f"{self.folder.name}.json")

    def _digests(self, step: int) -> dict[str, str]:
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(
                read_plain(path, _MOST_BYTES)
            ).hexdigest()
            for path in self._inside(self.folder / str(step))
        }

    @staticmethod
    def _inside(folder: Path) -> list[Path]:
        """Return all below a folder but the folders themselves."""
        found = sorted(folder.rglob("*"))
        return [path for path in found if path.is_symlink() or not path.is_dir()]

    def close(self) -> None:
        """Wait for what is being written."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=1,
                # Written before training goes on: the state's memory is given to the next step.
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
            )
            self._manager = ocp.CheckpointManager(self.folder.absolute(), options=options)
        return self._manager

    def _read(self, step: int, **what: Any) -> Any:
        return self._open().restore(step, args=ocp.args.Composite(**what))

    @contextlib.contextmanager
    def _refusing_damage(self):
        # Of many arrays the first that fails is enough; asyncio would report the others.
        logger = logging.getLogger("asyncio")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            traceback.clear_frames(error.__traceback__)
            gc.collect()  # asyncio reports what failed when it is collected
            raise UsageError(
                f"{self.folder} holds a damaged checkpoint ({reason}); choose another --output, "
                "or --force to begin anew"
            ) from error
        finally:
            logger.setLevel(level)


def checksums(state: State) -> list[int]:
    """Return the sum of every array's bits, modulo 2^32."""
    sums = _sums(jax.tree.leaves(state))
    return [int(np.asarray(total)) for total in sums]


@jax.jit
def _sums(leaves):
    def bits(leaf):
        width = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}[leaf.dtype.itemsize]
        return jax.lax.bitcast_convert_type(leaf, width).astype("uint32").sum(dtype="uint32")

    return [bits(leaf) for leaf in leaves]
