"""Decide whether a speech-recognition training set is fit to train on."""
