"""The figures: in each module, `data(rows)` is what is drawn and `draw(rows)` the figure."""

from analysis.figures import bias_variance, error_cost, temperature

__all__ = ["bias_variance", "error_cost", "temperature"]
