"""Gradients at a point of a problem, their moments and time; evaluation of a model."""
