"""Results: one tidy parquet file per run, with its provenance, written whole or not at all."""

import dataclasses
import functools
import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import pandas as pd
from pandas.api.types import infer_dtype

from analysis.reading import FILE as FILE
from analysis.reading import FORMAT as FORMAT
from analysis.reading import read
from experiments.system.device import PRECISION
from experiments.system.errors import UsageError
from experiments.system.folder import Folder

_PACKAGES = ("estimax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "pandas")


@dataclasses.dataclass
class Results:
    """The rows of one run in a folder; every row added is on disk when `add` returns.

    Attributes:
        folder: where the table, and whatever is drawn from it, goes.
        configuration: what was asked for; its hash is the run's identity.
        rows: the rows so far.
        complete: whether the run has finished.
        reopened: whether rows were there already.
    """

    folder: Folder
    configuration: Mapping[str, Any]
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    complete: bool = False
    reopened: bool = False

    @classmethod
    def open(cls, folder: Folder, configuration: Mapping[str, Any]) -> "Results":
        """Open a folder's results: those of the same run, unfinished ones included, or new ones.

        Nothing is written before rows come.

        Raises:
            UsageError: where the folder holds another run's results, an older format, a damaged
                file or one that estimax did not write.
        """
        results = cls(folder, configuration)
        folder.check([FILE])
        path = folder.path / FILE
        if not path.exists():
            return results
        advice = "choose another --output, or --force to replace them"
        try:
            table = read(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"{error}; {advice}") from error
        if table.attrs["identity"] != results.identity:
            now = arithmetic()
            before = table.attrs.get("arithmetic", now)
            other = [f"{name} {before.get(name)}" for name in now if before.get(name) != now[name]]
            how = f" ({', '.join(other)})" if other else ""
            raise UsageError(f"{folder} holds the results of another run{how}; {advice}")
        results.rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
        results.complete, results.reopened = table.attrs["complete"], True
        return results

    @functools.cached_property
    def identity(self) -> str:
        """Hash of the configuration, the arithmetic and the code that computes the rows."""
        return identity(self.configuration)

    def has(self, estimator: str) -> bool:
        """Return whether an estimator's rows are there."""
        return any(row["estimator"] == estimator for row in self.rows)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows and write the file."""
        self.rows.extend(map(dict, rows))
        self._write()

    def finish(self) -> None:
        """Mark the run as complete and write the file."""
        self.complete = True
        self._write()

    def table(self) -> pd.DataFrame:
        """Return the tidy table, provenance in its `attrs`."""
        table = pd.DataFrame(self.rows)
        for name in table.columns:
            # A hyperparameter may be a number to one estimator and a word to another.
            if infer_dtype(table[name], skipna=True) in ("mixed", "mixed-integer"):
                table[name] = table[name].map(str, na_action="ignore")
        table.attrs = {
            "format": FORMAT,
            "identity": self.identity,
            "complete": self.complete,
            "arithmetic": arithmetic(),
            "configuration": dict(self.configuration),
            "provenance": provenance(),
        }
        return table

    def _write(self) -> None:
        if jax.process_index() != 0:  # of several processes one writes what all know
            return
        with self.folder.staged() as stage:
            self.table().to_parquet(stage / FILE, write_page_checksum=True)


def identity(configuration: Mapping[str, Any]) -> str:
    """Return the hash of a configuration, of the arithmetic, and of the code that computes."""
    text = json.dumps([dict(configuration), arithmetic()], sort_keys=True) + _code_digest()
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def arithmetic() -> dict[str, str]:
    """Return the modes of JAX that change numbers, as its environment variables set them."""
    names = (
        "jax_enable_x64",
        "jax_default_matmul_precision",
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
        "jax_numpy_dtype_promotion",
    )
    return {name: str(getattr(jax.config, name)) for name in names}


@functools.cache
def _code_digest() -> str:
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for source in sorted([*root.rglob("*.py"), *(root.parent / "estimators").rglob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@functools.cache
def provenance() -> dict[str, Any]:
    """Return what a reader needs to judge or repeat a run: versions, device, command, revision."""
    device = jax.devices()[0]
    revision = _git("rev-parse", "HEAD")
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{len(jax.devices())} x {device.device_kind} ({device.platform})",
        "matmul_precision": PRECISION,
        "float": str(jax.dtypes.canonicalize_dtype(float)),
        "versions": {name: _version(name) for name in _PACKAGES},
        "revision": revision,
        "dirty": bool(_git("status", "--porcelain")) if revision else None,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
