"""Readable tables of results, a study in each file."""
