"""Tables and figures of the results of estimax.

The input is a tidy pandas table with one row per metric of an estimator or a training run, as
written by the studies (read it with `pandas.read_parquet`). Neither JAX nor the code that wrote the
table is needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.readable import ReadableTable as ReadableTable
    from analysis.render import save_table as save_table
    from analysis.render import to_csv as to_csv
    from analysis.render import to_html as to_html
    from analysis.render import to_latex as to_latex
    from analysis.render import to_markdown as to_markdown
    from analysis.render import to_text as to_text
    from analysis.rows import contexts as contexts
    from analysis.studies import STUDIES as STUDIES
    from analysis.style import save_figure as save_figure
    from analysis.tables.benchmark import benchmark_text as benchmark_text
    from analysis.tables.claims import claims_table as claims_table
    from analysis.tables.comparison import comparison_table as comparison_table
    from analysis.tables.opponents import opponents_table as opponents_table
    from analysis.tables.reproduction import reproduction_table as reproduction_table
    from analysis.tables.temperature import temperature_table as temperature_table
    from analysis.tables.training import training_table as training_table

_MODULES = {
    "ReadableTable": "readable",
    "STUDIES": "studies",
    "benchmark_text": "tables.benchmark",
    "claims_table": "tables.claims",
    "comparison_table": "tables.comparison",
    "contexts": "rows",
    "opponents_table": "tables.opponents",
    "reproduction_table": "tables.reproduction",
    "save_figure": "style",
    "save_table": "render",
    "temperature_table": "tables.temperature",
    "to_csv": "render",
    "to_html": "render",
    "to_latex": "render",
    "to_markdown": "render",
    "to_text": "render",
    "training_table": "tables.training",
}
"""The module of each public name, imported when the name is used, since pandas is slow."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
