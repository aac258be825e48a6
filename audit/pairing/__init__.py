"""Whose text is it: rows whose audio says the text of another row."""
