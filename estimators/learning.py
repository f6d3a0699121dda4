"""Which leaves of an estimator learn, for optimisers of them."""

from estimators.core.pytree import field_of as field_of
from estimators.core.pytree import learned_leaves as learned_leaves
