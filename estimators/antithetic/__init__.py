"""Score functions of negatively dependent samples, reweighted where that is needed."""
