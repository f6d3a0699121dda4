"""What the sums of the blocks say of an estimator: bias, variance, error, cosine, with intervals.

Notation: n gradient samples of mean m and covariance S (P x P, never formed), truth t. The truth
may itself be the mean of n' samples of covariance S'.
"""

from experiments.intervals.bias import squared_bias as squared_bias
from experiments.intervals.cosine import cosine_of_mean as cosine_of_mean
from experiments.intervals.cosine import cosine_per_sample as cosine_per_sample
from experiments.intervals.estimate import Estimate as Estimate
from experiments.intervals.estimate import Truth as Truth
from experiments.intervals.means import mean as mean
from experiments.intervals.means import sample_mean as sample_mean
from experiments.intervals.means import seconds as seconds
from experiments.intervals.spread import equal_cost_error as equal_cost_error
from experiments.intervals.spread import mean_squared_error as mean_squared_error
from experiments.intervals.spread import variance as variance
