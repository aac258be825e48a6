"""Sweeps: many trainings that look for the settings of a recipe that give the best model."""
