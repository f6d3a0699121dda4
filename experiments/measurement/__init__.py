"""Gradients drawn at a point of a problem, their moments, their time; the model's evaluation."""
