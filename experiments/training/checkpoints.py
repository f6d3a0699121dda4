"""Checkpoints of a batch of runs: atomic, and tied to a configuration."""

import contextlib
import gc
import hashlib
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from analysis.files import check_plain, read_plain, write_text
from experiments.system.errors import UsageError
from experiments.system.text import one_line
from experiments.training.run import State

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

_MOST_BYTES = 2**34  # of a file


class Checkpoints:
    """The newest checkpoint of a batch, in its own folder.

    It holds the state of all runs and their history: the rows so far, as plain values. It is
    written under a temporary name and renamed, so that a killed process leaves the previous one.
    The SHA-256 digests of its files are kept next to the folder.
    """

    def __init__(self, folder: Path, identity: str):
        """Set the folder; nothing is written before `save`.

        Args:
            folder: the folder.
            identity: hash of the configuration; a checkpoint of another one is refused.
        """
        self.folder = folder
        self.identity = identity
        self._manager: ocp.CheckpointManager | None = None

    def restore(self, shape: Callable[[], State]) -> tuple[State, dict[str, Any]] | None:
        """Return the state and the history of the newest checkpoint, None if there is none.

        Args:
            shape: returns shapes, types and shardings of the state (`Batch.shape`).

        Raises:
            UsageError: for a checkpoint of another configuration, or a damaged one.
        """
        import orbax.checkpoint as ocp

        if not self.folder.exists():
            return None
        with self._refusing_damage():
            for path in self._inside(self.folder):  # orbax would wait forever on a pipe
                check_plain(path)
            step = self._open().latest_step()
            if step is None:
                return None
            self._check_files(step)
            history = self._read(step, history=ocp.args.JsonRestore())["history"]
            identity = history["identity"]
        if identity != self.identity:
            raise UsageError(
                f"{self.folder} holds a checkpoint of another configuration; choose another "
                "--output, or --force to start over"
            )
        with self._refusing_damage():
            return self._read(step, state=ocp.args.StandardRestore(shape()))["state"], history

    def save(self, step: int, state: State, history: dict[str, Any]) -> None:
        """Write a checkpoint unless it exists, then remove the previous one."""
        import orbax.checkpoint as ocp

        if self._open().latest_step() == step:
            return
        history = history | {"identity": self.identity}
        self._open().save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), history=ocp.args.JsonSave(history)
            ),
        )
        if jax.process_index() == 0:
            write_text(self._seal, json.dumps({"step": step, "files": self._digests(step)}))

    def _check_files(self, step: int) -> None:
        """Raise ValueError if a file of a step was changed.

        Orbax would detect only some changes, partly in threads whose errors cannot be caught.
        """
        if not self._seal.exists():
            return
        seal = json.loads(read_plain(self._seal, _MOST_BYTES))
        # The digests belong to the previous step if the process was killed before writing these.
        if seal["step"] == step and seal["files"] != self._digests(step):
            raise ValueError("a file was changed")

    @property
    def _seal(self) -> Path:
        """The file of the digests of the newest checkpoint's files."""
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
        """Return all paths below a folder except folders."""
        found = sorted(folder.rglob("*"))
        return [path for path in found if path.is_symlink() or not path.is_dir()]

    def close(self) -> None:
        """Release the checkpoint's files."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self) -> "ocp.CheckpointManager":
        import orbax.checkpoint as ocp

        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=1,
                # The next step reuses the state's memory, so it is written before that.
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
            )
            self._manager = ocp.CheckpointManager(self.folder.absolute(), options=options)
        return self._manager

    def _read(self, step: int, **what: Any) -> Any:
        import orbax.checkpoint as ocp

        return self._open().restore(step, args=ocp.args.Composite(**what))

    @contextlib.contextmanager
    def _refusing_damage(self):
        # The first failing array is enough; asyncio would report all others.
        logger = logging.getLogger("asyncio")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        except Exception as error:
            reason = one_line(" ".join(str(error).split()), 200)
            traceback.clear_frames(error.__traceback__)
            gc.collect()  # asyncio reports failures on garbage collection
            raise UsageError(
                f"{self.folder} holds a damaged checkpoint ({reason}); choose another --output, "
                "or --force to start over"
            ) from error
        finally:
            logger.setLevel(level)
