"""The score function, its baselines, and averages of any estimator."""
