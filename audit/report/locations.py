"""Findings as CI shows them: each with its file and line, the ones that count first."""

from __future__ import annotations

import os.path
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Literal

from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report
from asr_gate.corpus.text.plain import plain

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

LINES = frozenset({".csv", ".json", ".jsonl", ".scp", ".tsv"})
KALDI = frozenset({"segments", "text"})
"""Manifests whose rows are lines; in another kind a row's number says nothing about lines."""
HUB = "hf:"
STORE = re.compile(r"(s3|gs|hf|https):/(?=[^/])")
"""A URL that was joined to a folder, which makes one slash of two."""
LONGEST = 500
"""Characters of one finding's message; nobody reads more in CI, and transcripts have no limit."""


@dataclass(frozen=True, slots=True)
class Location:
    """A row of a manifest, or a manifest."""

    file: str
    """Below the root of the checkout, with `/`, or absolute; `hf:…` and URLs stand as they are."""
    line: int | None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class Locations:
    """Where the rows of a report stand in a checkout."""

    def __init__(self, manifests: Sequence[str], here: Path, root: Path | None = None) -> None:
        """Where rows stand, seen from a folder.

        Args:
            manifests: the report's own, or those of `--data`, if the data now lies elsewhere; as
                they are named from `here`.
            here: the current folder.
            root: what files are named from; None: the nearest folder with `.git`.
        """
        self._manifests = manifests
        self._here = Path(os.path.abspath(here))  # noqa: PTH100  (links stand, `..` does not)
        above = (self._here, *self._here.parents)
        self._known: dict[str, tuple[str, bool]] = {}
        checkout = next((path for path in above if (path / ".git").exists()), self._here)
        self.root = checkout if root is None else Path(os.path.abspath(root))  # noqa: PTH100

    def manifests(self) -> list[Location]:
        """The manifests themselves."""
        return [Location(self._file(self._here / manifest), None) for manifest in self._manifests]

    def row(self, origin: str) -> Location:
        """The row of an origin, `train.jsonl:12`, as findings name it."""
        name, _, number = origin.rpartition(":")
        if not name or not (number.isascii() and number.isdigit()):
            name, number = origin, ""
        if name not in self._known:
            file = self._file(self._folder / name)
            suffix = PurePath(file).suffix.lower()
            lines = suffix in LINES or PurePath(file).name in KALDI
            self._known[name] = file, lines and not file.startswith(HUB)
        file, lines = self._known[name]
        line = int(number) if lines and 0 < len(number) < 10 else 0
        return Location(file, line or None)

    def file(self, path: Path) -> Location:
        """Any file, as it is named from here."""
        return Location(self._file(self._here / path), None)

    def is_here(self, place: Location) -> bool:
        """Whether the file is part of the checkout."""
        return (self.root / place.file).is_file()

    def _file(self, path: Path) -> str:
        full = PurePath(os.path.normpath(path))
        if full.is_relative_to(self._here):
            name = full.relative_to(self._here).as_posix()
            if STORE.match(name):
                return STORE.sub(r"\1://", name)
            if name.startswith(HUB):
                return name
        inside = full.is_relative_to(self.root)
        return (full.relative_to(self.root) if inside else full).as_posix()

    @cached_property
    def _folder(self) -> Path:
        """The folder that all manifests share: origins start there (`Corpus.relative_origin`)."""
        folders = [os.path.normpath((self._here / m).parent) for m in self._manifests]
        return Path(os.path.commonpath(folders or [str(self._here)]))


@dataclass(frozen=True, slots=True)
class LocatedFinding:
    """A finding, where it is, and how much it weighs."""

    finding: Finding
    place: Location
    level: Level

    @property
    def says(self) -> str:
        """Utterance, message and times, on one line and not too long."""
        finding = self.finding
        text = f"{shortened(finding.id, 200)}: {finding.message}"
        if finding.start is not None and finding.end is not None:
            text = f"{shortened(text, LONGEST)} ({finding.start:.2f} to {finding.end:.2f} s)"
        return shortened(text, LONGEST + 50)


def locate_findings(report: Report, places: Locations) -> list[LocatedFinding]:
    """All findings, by level; in each the utterances with the most errors come first."""
    errors = Counter(f.id for f in report.findings if level(f) == "error")
    rows = [LocatedFinding(f, places.row(f.origin), level(f)) for f in report.findings]

    def order(row: LocatedFinding) -> tuple[object, ...]:
        f = row.finding
        weight = (LEVELS.index(row.level), not f.counts, -errors[f.id])
        return (*weight, row.place.file, row.place.line or 0, f.id, f.code, f.start or 0.0)

    return sorted(rows, key=order)


def level(finding: Finding) -> Level:
    """How much a finding weighs; one that does not count is a note."""
    if not finding.counts or finding.severity == "info":
        return "note"
    return finding.severity


def shortened(text: str, longest: int) -> str:
    """Text of others on one line (`plain`), cut off where it is too long."""
    flat = plain(text[: 4 * longest])
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
