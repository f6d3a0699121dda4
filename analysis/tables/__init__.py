"""Readable tables of results, one module per study."""
