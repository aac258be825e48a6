"""The unit of everything: one stretch of audio and the transcript that claims to be its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

Seconds: TypeAlias = float

Span: TypeAlias = tuple[Seconds, Seconds]
"""Start and end."""

DEFAULT_DOMAIN = "default"
"""Domain of the rows that name none."""


class AudioBytes(Protocol):
    """Audio that lives inside a dataset and not in a file of its own."""

    def read(self) -> bytes:
        """The encoded audio, as it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a corpus, as its reader found it; no audio has been opened yet."""

    id: str
    """Unique in the corpus."""
    text: str
    """The transcript, exactly as written."""
    audio: Path | AudioBytes
    """Where the encoded audio is."""
    audio_name: str
    """The audio as the manifest names it; for messages and reports."""
    origin: str
    """Manifest and row, `train.jsonl:12`; for messages."""
    offset: Seconds = 0.0
    """Where the utterance starts in the recording."""
    duration: Seconds | None = None
    """Length as the manifest declares it; None: to the end of the recording."""
    lang: str | None = None
    domain: str = DEFAULT_DOMAIN
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that no audit can judge, and why."""

    id: str
    origin: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """Everything that the manifests hold."""

    utterances: list[Utterance]
    manifests: list[str]
    """The manifests as they were named."""
    skipped: list[SkippedRow] = field(default_factory=list)
