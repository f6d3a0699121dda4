"""What every run needs: results, progress, limits, the user's own code."""
