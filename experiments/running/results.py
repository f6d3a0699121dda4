"""Results: one tidy parquet file per run, with its provenance, written atomically."""

import dataclasses
import functools
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from analysis.files import FILE as FILE
from analysis.files import FORMAT as FORMAT
from analysis.schema import names, undescribed
from experiments.running.identity import identity
from experiments.system.device import PRECISION
from experiments.system.errors import UsageError
from experiments.system.folder import Folder
from experiments.system.version import version

if TYPE_CHECKING:
    import pandas as pd

_PACKAGES = ("estimax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "pandas")


@dataclasses.dataclass
class Results:
    """The rows of one run in a folder; rows are on disk when `add` returns.

    Attributes:
        folder: holds the table and the figures.
        configuration: the settings, as plain values.
        environment: everything besides the configuration that determines the rows.
        sources: where parameters were read, for the provenance.
        rows: the rows so far.
        complete: whether the run has finished.
        reopened: whether the folder already contained rows.
        seconds: the time that each part took, by its name.
    """

    folder: Folder
    configuration: Mapping[str, Any]
    environment: Mapping[str, str]
    sources: Sequence[str] = ()
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    complete: bool = False
    reopened: bool = False
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def open(
        cls,
        folder: Folder,
        configuration: Mapping[str, Any],
        environment: Mapping[str, str],
        sources: Sequence[str] = (),
    ) -> "Results":
        """Open the results of a run in a folder: existing ones, finished or not, or new ones.

        Nothing is written before the first rows are added.

        Raises:
            UsageError: if the folder holds another run's results, an older format, a damaged file
                or one that estimax did not write.
        """
        from analysis.reading import read

        results = cls(folder, configuration, environment, sources)
        folder.check([FILE])
        path = folder.path / FILE
        if not path.exists():
            return results
        advice = "choose another --output, or --force to replace them"
        try:
            table = read(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"{error}; {advice}") from error
        if table.attrs["identity"] != results.identity and len(table.attrs.get("sources", ())) > 1:
            raise UsageError(f"{folder} holds merged results, which no run continues; {advice}")
        if table.attrs["identity"] != results.identity:
            now = results.environment
            before = table.attrs.get("environment", now)
            other = [f"{name} {before.get(name)}" for name in now if before.get(name) != now[name]]
            how = f" ({', '.join(other)})" if other else ""
            raise UsageError(f"{folder} holds the results of another run{how}; {advice}")
        results.rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
        results.complete, results.reopened = table.attrs["complete"], True
        results.seconds = dict(table.attrs.get("seconds", {}))
        return results

    @property
    def identity(self) -> str:
        """Hash of everything that determines the rows."""
        return identity(self.configuration, self.environment)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows and write the file.

        Raises:
            KeyError: if the schema does not describe a column of the study.
        """
        columns = {name for row in rows for name in row}
        if unknown := undescribed(self.configuration["study"], columns):
            raise KeyError(f"analysis/schema.py describes no column {', '.join(sorted(unknown))}")
        self.rows.extend(map(dict, rows))
        self._write()

    def finish(self) -> None:
        """Mark the run as complete and write the file."""
        self.complete = True
        self._write()

    def table(self) -> "pd.DataFrame":
        """Return the tidy table; its provenance is in `attrs`."""
        import pandas as pd
        from pandas.api.types import infer_dtype

        table = pd.DataFrame(self.rows)
        for name in set(table.columns) - names("numbers"):
            # A hyperparameter may be a number for one estimator and a word for another.
            if infer_dtype(table[name], skipna=True) in ("mixed", "mixed-integer"):
                table[name] = table[name].map(str, na_action="ignore")
        table.attrs = {
            "format": FORMAT,
            "identity": self.identity,
            "complete": self.complete,
            "environment": dict(self.environment),
            "configuration": dict(self.configuration),
            "provenance": provenance() | self._parameters,
            "seconds": dict(self.seconds),
        }
        return table

    @property
    def _parameters(self) -> dict[str, str]:
        return {"parameters": "; ".join(self.sources)} if self.sources else {}

    def _write(self) -> None:
        if jax.process_index() != 0:  # all processes hold the same rows
            return
        with self.folder.staged() as stage:
            self.table().to_parquet(stage / FILE, write_page_checksum=True)


@functools.cache
def provenance() -> dict[str, Any]:
    """Return the provenance of a run: versions, device, command, revision."""
    device = jax.devices()[0]
    revision = _git("rev-parse", "HEAD")
    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{len(jax.devices())} x {device.device_kind} ({device.platform})",
        "matmul_precision": PRECISION,
        "float": str(jax.dtypes.canonicalize_dtype(float)),
        "versions": {name: version(name) for name in _PACKAGES},
        "revision": revision,
        "dirty": bool(_git("status", "--porcelain")) if revision else None,
    }


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
