"""Derivatives of samples that are differentiable, or relaxed to be."""
