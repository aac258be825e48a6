"""The gate for models: whether one may take the place of another, by a suite of tests."""
