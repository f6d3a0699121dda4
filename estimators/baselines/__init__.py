"""Baselines of the score function estimator."""
