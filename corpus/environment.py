"""Where we run, by the environment."""

from __future__ import annotations

import os


def in_ci() -> bool:
    """Whether this is a CI job, where others may have put files in the way."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")
