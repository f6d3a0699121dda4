"""Estimators that differentiate through the sample or its relaxation."""
