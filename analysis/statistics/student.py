"""Student's distribution."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def quantile(degrees: ArrayLike) -> np.ndarray:
    """Return the 97.5 % quantile of Student's t: half of a 95 % interval, in standard errors.

    Args:
        degrees: degrees of freedom; infinity for a normal error.
    """
    return stats.t.ppf(0.975, degrees)
