"""The report: built, written, and rendered in every format."""
