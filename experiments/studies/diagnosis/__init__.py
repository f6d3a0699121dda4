"""Recommendation of an estimator for a user's model."""
