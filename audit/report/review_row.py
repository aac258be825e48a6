"""A row that people are to look at, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asr_gate.corpus.utterance import Seconds, Span


@dataclass(frozen=True, slots=True)
class ToReview:
    """One row for a person to look at."""

    id: str
    origin: str
    audio: str
    """As the manifest names it."""
    offset: Seconds
    duration: Seconds
    language: str
    text: str
    proposed: str | None
    """A text that may be right."""
    confidence: float | None
    """Of the proposed text, 0 to 1; None: nothing is known of it."""
    codes: tuple[str, ...]
    """Of the findings that count."""
    spans: tuple[Span, ...]
    """Where the findings are, seconds from the utterance's start."""
    source: Literal["import", "evaluation"] = "import"
    """Of the corrections that come of it."""
