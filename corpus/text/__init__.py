"""Transcripts: what is written, brought to the letters that a model knows."""
