"""The small acoustic model that comes with the project: its files, its features, its network."""
