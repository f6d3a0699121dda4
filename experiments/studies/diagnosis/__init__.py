"""Which estimator for a model of the user's own."""
