"""Tests of stores that start as a process does."""

from __future__ import annotations

from asr_gate.corpus import mirror, objects, storage


def begin_anew() -> None:
    """Forget what a process knows of stores, as another process would."""
    storage.forget()
    for one in (storage._opened, objects._objects, objects._temporary, mirror._copies):
        one.cache_clear()
