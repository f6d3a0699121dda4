"""The check of where relaxed counts are cut."""

import jax

from estimators.core.validation import add_condition, check_count, is_concrete
from estimators.distributions.poisson import Poisson

_LARGEST_TAIL = 1e-3


def check_cut(name: str, log_rate: jax.Array, most: int) -> None:
    """Raise if more than a thousandth of the probability lies above `most`, where that is known."""
    check_count(f"{name} most", most, 1)
    tails = Poisson(log_rate, most).tails
    if not is_concrete(log_rate):
        add_condition(tails() <= _LARGEST_TAIL)
        return
    with jax.ensure_compile_time_eval():
        tail = float(tails().max(initial=0))
    if tail > _LARGEST_TAIL:
        raise ValueError(
            f"{name} most={most} is too low: larger counts have a probability of {tail:.1g}, and "
            f"may have {_LARGEST_TAIL:.0e}"
        )
