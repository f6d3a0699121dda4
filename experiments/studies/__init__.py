"""Studies: one folder each, which measures; commands and tables bear their names."""
