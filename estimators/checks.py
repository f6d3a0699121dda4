"""Checks of settings for `check` methods; errors name the bad and the allowed values."""

from estimators.core.validation import check_between as check_between
from estimators.core.validation import check_choice as check_choice
from estimators.core.validation import check_count as check_count
from estimators.core.validation import check_finite as check_finite
from estimators.core.validation import check_positive as check_positive
