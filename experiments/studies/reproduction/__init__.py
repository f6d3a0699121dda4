"""Published tables, and how their cells are reproduced."""
