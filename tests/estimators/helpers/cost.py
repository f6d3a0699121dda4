"""What a function costs once it is compiled."""

import jax


def flops(function, *arguments):
    """Return how many floating-point operations a function compiles to."""
    return jax.jit(function).lower(*arguments).compile().cost_analysis().get("flops", 0)
