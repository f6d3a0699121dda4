"""Infrastructure of every run: results, progress, limits, user code."""
