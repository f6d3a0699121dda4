"""Studies, one folder each; commands and tables have the same names."""
