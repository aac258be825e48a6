"""Training of recognisers, from a verified audit report to an evaluated model."""
