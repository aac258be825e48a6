"""Errors that a user can fix: one line, and the exit code of the command."""

from __future__ import annotations


class UserError(Exception):
    """Bad usage or bad input. The message names the file and line, what is wrong, and the fix."""

    exit_code = 2
