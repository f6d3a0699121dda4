"""Sums over states: all, or some drawn without replacement."""
