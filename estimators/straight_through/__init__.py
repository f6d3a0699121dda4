"""A hard sample in the forward pass, a surrogate derivative in the backward pass."""
