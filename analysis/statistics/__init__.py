"""Statistics of results over seeds."""
