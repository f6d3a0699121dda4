"""Tables and figures of the results of estimax.

The input is a tidy pandas table with one row per metric of an estimator or a training run, as the
studies write it (read it with `pandas.read_parquet`). Neither JAX nor the code that wrote the table
is needed.
"""

from analysis.claims import claims_table
from analysis.latex import to_latex
from analysis.render import save_table, to_csv, to_markdown, to_text
from analysis.reproduction import reproduction_table
from analysis.rows import contexts
from analysis.style import save_figure
from analysis.tables import comparison_table, temperature_table, training_table

__all__ = [
    "claims_table",
    "comparison_table",
    "contexts",
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
