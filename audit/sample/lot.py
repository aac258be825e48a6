"""Random numbers that follow from names alone, so that a change of one row draws nothing anew."""

from __future__ import annotations

import hashlib
import json


def lot(*names: str | int | None) -> int:
    """A number below 2**64, as good as random, that follows from the names.

    Whoever has the least ones of such numbers is a random sample (Hájek's order sampling with equal
    probabilities), and the rest of it stays when somebody is added or removed.
    """
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8])
