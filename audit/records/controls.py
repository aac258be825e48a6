"""The kinds of planted defects, and the evidence by which each is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "swapped",
    "inserted",
    "doubled",
    "replaced",
    "removed",
    "cut",
    "exchanged",
    "phrase",
    "overlap",
    "shortened",
]
KINDS: tuple[Kind, ...] = (
    "swapped",
    "inserted",
    "doubled",
    "replaced",
    "removed",
    "cut",
    "exchanged",
    "phrase",
    "overlap",
    "shortened",
)

Evidence = Literal["mismatch", "deletion", "substitution", "insertion", "edge"]
EVIDENCE: dict[Evidence, tuple[Kind, ...]] = {
    "mismatch": ("swapped",),
    "deletion": ("inserted", "doubled"),
    "substitution": ("replaced",),
    "insertion": ("removed",),
    "edge": ("cut",),
}
"""Which planted kinds each evidence must find; they set its threshold.

A word *inserted* into the transcript is one that nobody says: as speech recognition counts errors,
with the transcript as reference, the audio has a *deletion* there. A word *removed* from it leaves
speech that the transcript lacks, an *insertion*.
"""

THRESHOLD_KINDS: tuple[Kind, ...] = tuple(kind for kinds in EVIDENCE.values() for kind in kinds)
"""Kinds of which each sets a threshold; of the others only the power is measured."""

FOUND_BY: dict[Kind, tuple[Evidence, ...]] = {
    **{kind: (evidence,) for evidence, kinds in EVIDENCE.items() for kind in kinds},
    "exchanged": ("deletion", "substitution", "insertion"),
    "phrase": ("deletion", "substitution", "insertion"),
    "overlap": ("deletion", "substitution"),
    "shortened": ("deletion",),
}
"""By which evidence each kind is found: any of it, at its place."""

LIKELY = 0.5
"""Probability above which a defect is taken for one: its evidence passes the threshold."""

EVIDENCE_OF: dict[Kind, Evidence] = {kind: found[0] for kind, found in FOUND_BY.items()}
"""The first of it: of most kinds, all."""


@dataclass(frozen=True, slots=True)
class Control:
    """One planted defect."""

    kind: Kind
    value: float
    """The evidence of `EVIDENCE_OF` that was found at the planted place."""
    also: Mapping[Evidence, float] = field(default_factory=dict)
    """The other evidence there by which its kind may be found."""

    def passes(self, thresholds: Mapping[Evidence, float]) -> bool:
        """Whether any of the evidence passes; that which has no threshold here does not."""
        found = {EVIDENCE_OF[self.kind]: self.value, **self.also}
        return any(found[one] > thresholds[one] for one in found if one in thresholds)
