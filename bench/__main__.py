"""`make bench`: remakes the figures of `docs/` and of the README."""

from __future__ import annotations

from bench import example, real_speech

if __name__ == "__main__":
    example.main()
    real_speech.main()
