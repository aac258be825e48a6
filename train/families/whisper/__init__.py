"""Whisper: an encoder of 30-second windows, and a decoder that is told language and task."""
