"""Inner products in the full precision of their type.

By default an accelerator rounds factors: to 10 bits on recent GPUs, to 7 on a TPU. A user may
choose that for f; in an estimator's own weights and differences it would be a bias.
"""

import functools

import jax.numpy as jnp

dot = functools.partial(jnp.dot, precision="highest")
vdot = functools.partial(jnp.vdot, precision="highest")
