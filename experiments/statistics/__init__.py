"""Bias, variance, error and cosine of an estimator with their intervals, from sums over blocks.

Notation: n gradient samples of mean m and covariance S (P x P, never formed), truth t. The truth
may itself be the mean of n' samples of covariance S'.
"""

from experiments.statistics.bias import squared_bias as squared_bias
from experiments.statistics.cosine import cosine_of_mean as cosine_of_mean
from experiments.statistics.cosine import cosine_per_sample as cosine_per_sample
from experiments.statistics.estimate import Estimate as Estimate
from experiments.statistics.means import mean as mean
from experiments.statistics.means import median as median
from experiments.statistics.means import sample_mean as sample_mean
from experiments.statistics.signal import signal_to_noise as signal_to_noise
from experiments.statistics.spread import equal_cost_error as equal_cost_error
from experiments.statistics.spread import mean_squared_error as mean_squared_error
from experiments.statistics.spread import variance as variance
from experiments.statistics.truth import Truth as Truth
from experiments.statistics.unbiasedness import unbiased_p_value as unbiased_p_value
