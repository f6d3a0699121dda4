"""What every estimator is built on: noise, attached gradients, identity, the abstract classes."""
