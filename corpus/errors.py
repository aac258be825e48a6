"""Errors that a user can mend: one line, with the exit code that the command ends with."""


class UserError(Exception):
    """Bad usage or bad input. The message names the file, the line or utterance, and the mend."""

    exit_code = 2
