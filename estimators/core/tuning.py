"""Published settings for tuning an estimator's own leaves."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Adam's settings for an estimator's learned leaves.

    Attributes:
        rate: the learning rate, or a multiple of the model's where `is_relative`.
        is_relative: whether `rate` is a multiple of the model's learning rate.
        b2: the decay rate of Adam's second moment.
    """

    rate: float = 1.0
    is_relative: bool = True
    b2: float = 0.999
