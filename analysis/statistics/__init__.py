"""Statistics of result tables: what figures over seeds say together."""
