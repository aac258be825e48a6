"""From a verified report to a model."""
