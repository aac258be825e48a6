"""A case: one transcript that is wrong, of a row or of a production log."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal, get_args

from asr_gate.corpus.utterance import DEFAULT_DOMAIN, Seconds

Source = Literal["evaluation", "audit", "production"]
SOURCES: tuple[Source, ...] = get_args(Source)

Status = Literal["open", "corrected", "confirmed", "dropped"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""`open`: nobody looked at it; `corrected`: the right text is known, and is not the reference;
`confirmed`: the reference is right; `dropped`: the audio is of no use."""

Kind = Literal["near_sound", "near_spelling", "substitution", "deletion", "insertion"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Operation:
    """One word that is wrong."""

    kind: Kind
    """A substitution is `near_sound` or `near_spelling` where the words are alike."""
    position: int
    """Index of the word in the normalised reference; of an insertion that of the word after it."""
    reference: str
    """Empty: an insertion."""
    hypothesis: str
    """Empty: a deletion."""


@dataclass(frozen=True, slots=True)
class Case:
    """What somebody or something got wrong once."""

    source: Source
    row: str
    """Id of the row, or of the entry in the log."""
    reference: str | None
    """The text of the row; None: a log knows none."""
    hypothesis: str | None
    """What the model wrote, or the text that the audit proposes; None: it proposes none."""
    model: str
    """`sha256:…` of the model's folder, or the name that is known; of the audit its digest."""
    domain: str = DEFAULT_DOMAIN
    language: str | None = None
    audio: str | None = None
    """Absolute path of the recording; None: it is not known."""
    offset: Seconds = 0.0
    """Where the utterance starts in the recording."""
    duration: Seconds | None = None
    """Length of the utterance; None: to the end of the recording."""
    start: Seconds | None = None
    end: Seconds | None = None
    """Where in the utterance it is wrong, in seconds from its start; None: it is not known."""
    origin: str = ""
    """Manifest and line, or log and line."""
    codes: tuple[str, ...] = ()
    """Rules of the audit."""
    operations: tuple[Operation, ...] = field(default=())
    """Errors of the hypothesis against the reference; none if one of the two is not known."""
    status: Status = "open"
    correction: str | None = None
    """The right text, if it is not the reference."""
    who: str = ""
    """Who looked at it; empty: nobody, or it is not known."""
    why: str = ""

    @property
    def key(self) -> str:
        """Equal for the same mistake of the same model in the same row: it is one case."""
        parts = [self.source, self.row, self.start, self.end, self.reference, self.hypothesis]
        content = json.dumps([*parts, self.model, list(self.codes)], ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def text(self) -> str | None:
        """The best text that is known: the correction, or else the reference."""
        return self.correction if self.correction is not None else self.reference
