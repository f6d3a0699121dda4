"""The basis of every estimator: noise, attached gradients, identity, the abstract classes."""
