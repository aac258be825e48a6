"""The names of what tells speech from other sound; the core install knows them too."""

from typing import Literal

Detector = Literal["silero", "energy"]
"""The network silero-vad, or the level alone."""
