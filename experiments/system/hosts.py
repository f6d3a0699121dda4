"""Communication between the processes of a run; most runs have one."""

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments.system import signals
from experiments.system.signals import Interrupted


def gathered(value: int) -> list[int]:
    """Return the values of all processes; a collective, called by all in the same order."""
    if jax.process_count() == 1:
        return [value]
    return multihost_utils.process_allgather(np.asarray(value, np.int32)).ravel().tolist()


def check_signals() -> None:
    """Raise `Interrupted` if a signal asked this single-process run to end.

    With several processes, none ends alone, since the others would wait for it.
    """
    if (number := signals.received()) and jax.process_count() == 1:
        raise Interrupted(number)


def received_signal() -> int:
    """Return the number of the signal that any process received, 0 if none did."""
    return max(gathered(signals.received()))
