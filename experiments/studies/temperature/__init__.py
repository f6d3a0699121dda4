"""Bias, variance, error and cost of estimators at one point, against temperature."""
