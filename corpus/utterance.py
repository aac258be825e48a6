"""The unit of everything: one stretch of audio and the transcript that claims to be its words."""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field
from functools import cached_property
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
    split: str | None = None


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
    others: list[Utterance] = field(default_factory=list)
    """Rows of the manifests' other splits, where one was chosen: not judged, but leaks are sought
    in them."""

    def place(self, origin: str) -> str:
        """Manifest and row of an origin, without the folder that all manifests share.

        Reports name rows like this: the folder of a corpus does not belong to what is said of it.
        """
        return os.path.relpath(origin, self._folder)

    def places(self) -> dict[str, str]:
        """`place` of every row, skipped ones too, by id."""
        places = {row.id: self.place(row.origin) for row in self.skipped}
        return places | {u.id: self.place(u.origin) for u in self.utterances}

    @cached_property
    def _folder(self) -> str:
        folders = [Path(manifest).absolute().parent for manifest in self.manifests]
        return os.path.commonpath([os.path.normpath(folder) for folder in folders])
