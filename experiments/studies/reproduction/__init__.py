"""Published tables, and how each of their cells is run here."""
