"""Sums over states, all of them or some without replacement."""
