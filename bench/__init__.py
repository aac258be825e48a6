"""Measurements whose figures stand in `docs/`; each module prints what it measured and on what."""
