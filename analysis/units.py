"""The units in which training runs are compared; apart, since reading them needs no pandas."""

from typing import Literal, get_args

Against = Literal["steps", "evaluations", "seconds"]
"""What training is compared against: steps, evaluations of f per example, or seconds per run."""

UNITS: tuple[Against, ...] = get_args(Against)
