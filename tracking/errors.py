"""The error that `tracking` raises."""


class TrackingError(Exception):
    """Bad settings or bad input to a tracker: one line that says how to fix it."""

    exit_code = 2
    """Exit code of a command that ends with this error: bad usage or bad input."""
