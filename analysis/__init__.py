"""Tables and figures of the results of estimax.

The input is a tidy pandas table with one row per metric of an estimator or a training run, as
written by the studies (read it with `pandas.read_parquet`). Neither JAX nor the code that wrote the
table is needed.
"""

from analysis.readable import ReadableTable
from analysis.render import save_table, to_csv, to_latex, to_markdown, to_text
from analysis.rows import contexts
from analysis.studies import STUDIES, readable
from analysis.style import save_figure
from analysis.tables.benchmark import benchmark_text
from analysis.tables.claims import claims_table
from analysis.tables.comparison import comparison_table
from analysis.tables.reproduction import reproduction_table
from analysis.tables.temperature import temperature_table
from analysis.tables.training import training_table

__all__ = [
    "STUDIES",
    "ReadableTable",
    "benchmark_text",
    "claims_table",
    "comparison_table",
    "contexts",
    "readable",
    "reproduction_table",
    "save_figure",
    "save_table",
    "temperature_table",
    "to_csv",
    "to_latex",
    "to_markdown",
    "to_text",
    "training_table",
]
