"""The kinds of planted defects, and the evidence by which each is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["swapped", "inserted", "doubled", "replaced", "removed", "cut"]
KINDS: tuple[Kind, ...] = ("swapped", "inserted", "doubled", "replaced", "removed", "cut")

Evidence = Literal["mismatch", "unsaid", "other", "speech", "edge"]
EVIDENCE: dict[Evidence, tuple[Kind, ...]] = {
    "mismatch": ("swapped",),
    "unsaid": ("inserted", "doubled"),
    "other": ("replaced",),
    "speech": ("removed",),
    "edge": ("cut",),
}
"""Which planted kinds each evidence must find."""

DOUBTED = 0.5
"""Probability of a defect above which it is one: its evidence passes the threshold."""

EVIDENCE_OF: dict[Kind, Evidence] = {
    kind: evidence for evidence, kinds in EVIDENCE.items() for kind in kinds
}


@dataclass(frozen=True, slots=True)
class Control:
    """One planted defect."""

    kind: Kind
    value: float
    """The evidence that was found at the planted place."""
