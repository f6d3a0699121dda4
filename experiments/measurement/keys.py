"""Random keys by name."""

import zlib

import jax


def named_keys(seed: int, *names: str) -> dict[str, jax.Array]:
    """Return an independent key for each name; it does not depend on the other names."""
    key = jax.random.key(seed)
    return {name: jax.random.fold_in(key, zlib.crc32(name.encode())) for name in names}
