"""Utterances and corpora: stretches of audio, each with its transcript."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeAlias

from asr_gate.corpus.storage import is_url

Seconds: TypeAlias = float

Span: TypeAlias = tuple[Seconds, Seconds]
"""Start and end, in seconds."""

DEFAULT_DOMAIN = "default"
"""Domain of the rows without one."""


class AudioBytes(Protocol):
    """Audio that is embedded in a dataset and has no file of its own."""

    def read(self) -> bytes:
        """The encoded audio, as it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a corpus as it was read. No audio has been opened yet."""

    id: str
    """Unique in the corpus."""
    text: str
    """The transcript, exactly as written."""
    audio: Path | AudioBytes
    """Where the encoded audio is."""
    audio_name: str
    """The audio as the manifest names it, for messages and reports."""
    origin: str
    """Manifest and row, as `train.jsonl:12`, for messages."""
    offset: Seconds = 0.0
    """Where the utterance starts in the recording."""
    duration: Seconds | None = None
    """Length by the manifest; None: to the end of the recording."""
    lang: str | None = None
    domain: str = DEFAULT_DOMAIN
    speaker: str | None = None
    split: str | None = None
    roots: tuple[str, ...] = ()
    """Folders, links resolved, one of which must hold the audio when it is opened; empty: any."""


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that cannot be audited, and why."""

    id: str
    origin: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """What one or several manifests hold."""

    utterances: Sequence[Utterance]
    """A list, or `corpus.rows.Rows` on disk where there are many."""
    manifests: list[str]
    """The manifests as the user named them."""
    skipped: list[SkippedRow] = field(default_factory=list)
    others: Sequence[Utterance] = field(default_factory=list)
    """Rows of the other splits, if one was chosen: not audited, only searched for leaks."""
    split: str | None = None
    """The split that was chosen; None: all rows."""

    def relative_origin(self, origin: str) -> str:
        """An origin relative to the folder that all manifests share.

        Reports name rows like this, so that they stay the same when the corpus is moved.
        """
        return os.path.relpath(origin, self._folder)

    def placed(self, relative: str) -> Path:
        """Where something lies that `relative_origin` named, or that has a URL."""
        if is_url(relative):
            return Path(relative)
        return Path(os.path.normpath(Path(self._folder, relative)))

    @cached_property
    def _folder(self) -> str:
        folders = [Path(manifest).absolute().parent for manifest in self.manifests]
        return os.path.commonpath([os.path.normpath(folder) for folder in folders])
