"""A hard sample in the forward pass, another derivative in the backward pass."""
