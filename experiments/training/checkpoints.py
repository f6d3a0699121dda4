"""Checkpoints of a batch of runs: atomic, and tied to a configuration."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from analysis.files import read_plain, write_text
from experiments.system.errors import UsageError
from experiments.training import saved
from experiments.training.run import State
from experiments.training.saved import refusing_damage

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

_MOST_BYTES = 2**34  # of a file
_ADVICE = "; choose another --output, or --force to start over"


class Checkpoints:
    """The newest checkpoint of a batch and those of chosen steps, in a folder of their own.

    A checkpoint holds the state of all runs and their history: the rows so far, as plain values. It
    is written under a temporary name and renamed, so that a killed process leaves those before it.
    A file next to the folder has the SHA-256 digests of their files, and the steps that are kept.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        keep: Collection[int] = (),
        about: Mapping[str, Any] | None = None,
    ):
        """Set the folder; nothing is written before `save`.

        Args:
            folder: the folder.
            identity: hash of the configuration; a checkpoint of another one is refused.
            keep: steps whose checkpoints are not removed. Those that an earlier process kept are
                not removed either.
            about: what each checkpoint says about the batch, as plain values.
        """
        self.folder = folder
        self.identity = identity
        self.about = dict(about or {})
        self._keep = frozenset(keep) | frozenset(_seal(folder)["keep"])
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
        with refusing_damage(self.folder, _ADVICE):
            saved.check_files(self.folder)
            step = self._open().latest_step()
            if step is None:
                return None
            _check_digests(self.folder, step)
            history = self._read(step, history=ocp.args.JsonRestore())["history"]
            identity = history["identity"]
        if identity != self.identity:
            raise UsageError(f"{self.folder} holds a checkpoint of another configuration{_ADVICE}")
        with refusing_damage(self.folder, _ADVICE):
            return self._read(step, state=ocp.args.StandardRestore(shape()))["state"], history

    def save(self, step: int, state: State, history: dict[str, Any]) -> None:
        """Write a checkpoint unless it exists, then remove the previous one unless it is kept."""
        import orbax.checkpoint as ocp

        if self._open().latest_step() == step:
            return
        history = history | {"identity": self.identity, "about": self.about}
        self._open().save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), history=ocp.args.JsonSave(history)
            ),
        )
        if jax.process_index() == 0:
            known = _seal(self.folder)["steps"] | {str(step): _digests(self.folder, step)}
            there = {str(one): known[str(one)] for one in self.steps if str(one) in known}
            seal = {"keep": sorted(self._keep), "steps": there}
            write_text(_seal_path(self.folder), json.dumps(seal))

    @property
    def steps(self) -> list[int]:
        """The steps of the checkpoints that there are, in order."""
        return list(saved.steps(self.folder))

    def close(self) -> None:
        """Release the checkpoint's files."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _open(self) -> "ocp.CheckpointManager":
        import orbax.checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers as managers

        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                preservation_policy=managers.AnyPreservationPolicy(
                    [managers.LatestN(1), managers.CustomSteps(sorted(self._keep))]
                ),
                # The next step reuses the state's memory, so it is written before that.
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
            )
            self._manager = ocp.CheckpointManager(self.folder.absolute(), options=options)
        return self._manager

    def _read(self, step: int, **what: Any) -> Any:
        import orbax.checkpoint as ocp

        return self._open().restore(step, args=ocp.args.Composite(**what))


class Saved(NamedTuple):
    """A checkpoint as it was saved.

    Attributes:
        identity: hash of the configuration of the batch.
        about: what the checkpoint says about its batch.
        state: reads the fields of the state: nested dicts and lists of NumPy arrays, with one row
            per run.
    """

    identity: str
    about: dict[str, Any]
    state: Callable[[], dict[str, Any]]


def read(folder: Path, step: int) -> Saved:
    """Return the checkpoint of a step, whatever the process that trains its batch is doing.

    Raises:
        UsageError: if it is damaged.
    """
    import orbax.checkpoint as ocp

    at = folder / str(step)
    with refusing_damage(folder):
        saved.check_files(at)
        _check_digests(folder, step)
        with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
            history: dict[str, Any] = checkpointer.restore((at / "history").absolute())
        identity, about = history["identity"], history["about"]

    def state() -> dict[str, Any]:
        with refusing_damage(folder):
            return saved.read(at / "state")

    return Saved(identity, about, state)


def _check_digests(folder: Path, step: int) -> None:
    """Raise ValueError if a file of a step was changed.

    Orbax would detect only some changes, partly in threads whose errors cannot be caught.
    """
    # Unknown if the process was killed before writing them.
    known = _seal(folder)["steps"].get(str(step))
    if known is not None and known != _digests(folder, step):
        raise ValueError("a file was changed")


def _digests(folder: Path, step: int) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(read_plain(path, _MOST_BYTES)).hexdigest()
        for path in saved.files(folder / str(step))
    }


def _seal(folder: Path) -> dict[str, Any]:
    """Return the digests of the files of each step, and the steps that are kept."""
    with refusing_damage(folder, _ADVICE):
        try:
            found = json.loads(read_plain(_seal_path(folder), _MOST_BYTES))
        except FileNotFoundError:
            found = {}
        return {"keep": [*map(int, found.get("keep", []))], "steps": dict(found.get("steps", {}))}


def _seal_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")
