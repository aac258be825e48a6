"""What becomes of the rows of a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """Which rows are dropped, and which are given their ids explicitly."""

    ids: Mapping[str, list[str]]
    """By origin, the ids of the rows there; what stands elsewhere stays."""
    dropped: Set[str]
    named: Set[str] = frozenset()

    def drops(self, origin: str) -> bool:
        """Whether nothing is left of what stands there."""
        here = self.ids.get(origin)
        return here is not None and all(one in self.dropped for one in here)

    def touches(self, origin: str) -> bool:
        """Whether what stands there is changed, if it stays."""
        here = self.ids.get(origin, ())
        return any(one in self.dropped or one in self.named for one in here)
