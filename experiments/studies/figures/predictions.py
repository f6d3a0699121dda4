"""Predictions of a figure's study, declared beside it and decided by its rows."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from experiments.measurement.rows import Row
from experiments.statistics import Estimate

TASK = "predictions"
"""The last task of a study that has predictions."""

Of = Callable[[Sequence[Row]], Estimate]
"""Returns a quantity with its 95 % interval from the rows of a study; NaN where they lack it."""


class Prediction(NamedTuple):
    """A statement on a quantity, made before the study is run.

    Attributes:
        text: the statement.
        source: who implies it: a paper, a derivation, or us.
        of: the quantity that decides it.
        low: the lower end of the region that the statement asks for.
        high: its upper end.
    """

    text: str
    source: str
    of: Of
    low: float = -math.inf
    high: float = math.inf

    def row(self, rows: Sequence[Row]) -> Row:
        """Return the prediction with the quantity as it was found, as a row of the table."""
        found = {"claim": self.text, "source": self.source, "metric": "prediction"}
        region = {"region_low": self.low, "region_high": self.high}
        return found | region | self.of(rows).interval()
