"""The kinds of planted defects, and the evidence by which each is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["swapped", "inserted", "doubled", "replaced", "removed", "cut"]
KINDS: tuple[Kind, ...] = ("swapped", "inserted", "doubled", "replaced", "removed", "cut")

Evidence = Literal["mismatch", "deletion", "substitution", "insertion", "edge"]
EVIDENCE: dict[Evidence, tuple[Kind, ...]] = {
    "mismatch": ("swapped",),
    "deletion": ("inserted", "doubled"),
    "substitution": ("replaced",),
    "insertion": ("removed",),
    "edge": ("cut",),
}
"""Which planted kinds each evidence must find.

A word *inserted* into the transcript is one that nobody says: as speech recognition counts errors,
with the transcript as reference, the audio has a *deletion* there. A word *removed* from it leaves
speech that the transcript lacks, an *insertion*.
"""

LIKELY = 0.5
"""Probability above which a defect is taken for one: its evidence passes the threshold."""

EVIDENCE_OF: dict[Kind, Evidence] = {
    kind: evidence for evidence, kinds in EVIDENCE.items() for kind in kinds
}


@dataclass(frozen=True, slots=True)
class Control:
    """One planted defect."""

    kind: Kind
    value: float
    """The evidence that was found at the planted place."""
