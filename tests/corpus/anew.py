"""Tests of stores that start as a process does."""

from __future__ import annotations

from asr_gate.corpus import inside, mirror, objects, storage


def begin_anew() -> None:
    """Forget what a process knows of stores, as another process would."""
    storage.forget()
    kept = (storage._opened, objects._objects, objects._temporary, mirror._copies, inside._opened)
    for one in kept:
        one.cache_clear()
