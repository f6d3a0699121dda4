"""Student's distribution."""

import numpy as np
from numpy.typing import ArrayLike


def quantile(degrees: ArrayLike) -> np.ndarray:
    """Return the 97.5 % quantile of Student's t: half of a 95 % interval, in standard errors.

    Args:
        degrees: degrees of freedom; infinity for a normal error.
    """
    from scipy import special

    return special.stdtrit(degrees, 0.975)
