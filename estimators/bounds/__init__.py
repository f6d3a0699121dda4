"""Score functions for multi-sample bounds."""
