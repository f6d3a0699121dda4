"""Which estimator for a user's own model."""
