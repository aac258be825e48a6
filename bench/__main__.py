"""`make bench`: remakes the figures of `docs/`."""

from __future__ import annotations

from bench import real_speech

if __name__ == "__main__":
    real_speech.main()
