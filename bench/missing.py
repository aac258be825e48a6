"""What a measurement cannot do without."""

from __future__ import annotations


class Missing(SystemExit):
    """Data that is not part of the project is not there; the message names it and the option."""
