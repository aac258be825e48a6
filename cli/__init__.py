"""The `asr` command: one file per command; parses, calls, prints, sets the exit code."""
