"""Score functions of negatively dependent samples, reweighted to be unbiased where necessary."""
