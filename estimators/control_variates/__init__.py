"""Score functions with control variates that model f or its derivative."""
