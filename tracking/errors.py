"""What `tracking` raises."""


class TrackingError(Exception):
    """Bad settings, or bad input to a tracker, said in one line that names the mend."""

    exit_code = 2
    """What a command ends with on this error: bad usage or bad input."""
