"""The error for invalid requests."""


class UsageError(Exception):
    """A request that cannot be met: one line, with exit status 2 on the command line."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython and Jupyter show in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]
