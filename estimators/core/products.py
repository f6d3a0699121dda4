"""Inner products in the full precision of their type.

An accelerator's default rounds what it multiplies: to 10 bits on recent GPUs, to 7 on a TPU. A
user may choose that for f; an estimator's own weights and differences would be biased by it.
"""

import functools

import jax.numpy as jnp

dot = functools.partial(jnp.dot, precision="highest")
vdot = functools.partial(jnp.vdot, precision="highest")
