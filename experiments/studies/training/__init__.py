"""Training: a batch of runs per estimator, with checkpoints, evaluation and measurement."""
