"""What the processes of one run tell each other; most runs have one."""

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments.system import signals
from experiments.system.signals import Interrupted


def gathered(value: int) -> list[int]:
    """Return the values of all processes; each of them must ask, in the same order."""
    if jax.process_count() == 1:
        return [value]
    return multihost_utils.process_allgather(np.asarray(value, np.int32)).ravel().tolist()


def check_signals() -> None:
    """Raise `Interrupted` where this run, of one process, was asked to end.

    Of several processes none ends alone: the others would wait for it.
    """
    if (number := signals.asked()) and jax.process_count() == 1:
        raise Interrupted(number)


def asked_by_signal() -> int:
    """Return the number of the signal that came to any process, 0 if none came."""
    return max(gathered(signals.asked()))
