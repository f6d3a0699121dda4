"""Distributions over one example's event."""
