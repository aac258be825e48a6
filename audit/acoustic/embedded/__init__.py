"""The small acoustic model that ships with the project."""
