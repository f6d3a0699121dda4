"""How the published experiments tuned an estimator's own leaves."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Adam's settings for the leaves of an estimator that learn.

    Attributes:
        rate: the learning rate; where `is_relative`, as a multiple of the model's.
        is_relative: whether it is.
        b2: the decay of Adam's average of squares.
    """

    rate: float = 1.0
    is_relative: bool = True
    b2: float = 0.999
