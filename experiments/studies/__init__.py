"""Studies: what the command line runs, one file each."""
