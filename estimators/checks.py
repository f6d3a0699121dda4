"""Checks of settings for `check` methods; errors name the bad and the allowed values."""

from estimators.core.estimator import check_call as check_call
from estimators.core.estimator import check_distribution as check_distribution
from estimators.core.objective import checked as checked
from estimators.core.validation import Misfit as Misfit
from estimators.core.validation import check_at_most as check_at_most
from estimators.core.validation import check_between as check_between
from estimators.core.validation import check_choice as check_choice
from estimators.core.validation import check_count as check_count
from estimators.core.validation import check_finite as check_finite
from estimators.core.validation import check_not_negative as check_not_negative
from estimators.core.validation import check_positive as check_positive
from estimators.core.validation import check_share as check_share
