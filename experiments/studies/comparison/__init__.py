"""Bias, variance, error and cost of estimators at one point of a problem."""
