"""What every format has in common: the interface, and what goes in and out of it."""

from __future__ import annotations

import os.path
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.utterance import Seconds

if TYPE_CHECKING:
    from asr_gate.corpus.labels import LabelRule
    from asr_gate.corpus.mirror import Mirror

AUDIO_COLUMNS = ("audio_filepath", "audio", "path", "file_name")
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription")
LANG_COLUMNS = ("lang", "locale")
SPEAKER_COLUMNS = ("speaker", "client_id")

SPLIT_NAME = re.compile(r"(train|dev|valid|test|eval)(?=$|[._-])")
"""Names of files and folders that say a split: `train.jsonl`, `dev_other`, `test-clean`."""

CLEAN = "clean"
"""In the names of manifests that `asr clean` writes."""

ALL = "all"
"""Name of the only source at a path whose files name no split."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a format found it, before it is checked."""

    origin: str
    """Manifest and line, for messages."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Values by column name; see the columns above."""
    fault: str | None = None
    """What is malformed. The whole manifest is then refused."""
    skip: str | None = None
    """Why the row cannot be audited although it is well-formed. It is skipped and reported."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of one manifest are, or of one split of it."""

    format: Format
    path: Path
    """The file or folder that is read; `hf:OWNER/NAME` for the Hugging Face hub."""
    base: Path
    """The folder that relative audio paths start from."""
    split: str | None = None
    """The split of all its rows, if a file name says so."""
    folder: bool = False
    """Whether the corpus is written as a folder and not as one file."""
    others: tuple[Source, ...] = ()
    """The other splits of the manifest, if one was chosen."""
    roots: tuple[Path, ...] = ()
    """Further folders that its audio may lie in."""
    labels: tuple[LabelRule, ...] = ()
    """Rules that give its rows domains and splits."""
    mirror: Mirror | None = None
    """What it is a copy of, if it lies in a store."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """A transcript, and what is written in its place."""

    before: str
    after: str

    def applied(self, cell: str | None) -> str:
        """A cell that ends in the transcript, corrected; a language tag before it stays."""
        return (cell or "").removesuffix(self.before) + self.after


@dataclass(frozen=True, slots=True)
class Trim:
    """The stretch of its recording that an utterance is to have."""

    offset: Seconds
    """Where it begins in the recording."""
    duration: Seconds


@dataclass(frozen=True, slots=True)
class Change:
    """Which rows of a manifest are dropped, and what has to be written into those that stay."""

    ids: Mapping[str, list[str]]
    """Ids of the rows at each origin where anything changes, or at each one (`Format.every_id`).
    What stands at any other origin stays."""
    dropped: Set[str]
    write_ids: Set[str] = frozenset()
    """Ids that would be lost unless the row says them."""
    texts: Mapping[str, TextChange] = field(default_factory=dict)
    """Corrected transcripts, by id."""
    trims: Mapping[str, Trim] = field(default_factory=dict)
    """Rows of which less of the recording stays, by id. `Format.untrimmable` says whether the
    format can."""

    def drops(self, origin: str) -> bool:
        """Whether every row at an origin is dropped."""
        here = self.ids.get(origin)
        return here is not None and all(one in self.dropped for one in here)

    def edits(self, origin: str) -> bool:
        """Whether what stands at an origin has to be changed, if it stays."""
        here = self.ids.get(origin, ())
        return any(
            one in self.dropped or one in self.write_ids or one in self.texts or one in self.trims
            for one in here
        )

    def text_at(self, origin: str) -> TextChange | None:
        """The correction at an origin that holds one row; None: there is none."""
        return next(
            (self.texts[one] for one in self.ids.get(origin, ()) if one in self.texts), None
        )

    def trim_at(self, origin: str) -> Trim | None:
        """The trim at an origin that holds one row; None: there is none."""
        return next(
            (self.trims[one] for one in self.ids.get(origin, ()) if one in self.trims), None
        )


class Format(ABC):
    """A way to store a corpus. `find`, `rows` and `write` are all that most formats need."""

    manifests: str
    """How its manifests are named, for the message about a path that no format knows."""
    every_id = False
    """Whether `write` asks for the ids of rows that stay as they are."""

    @abstractmethod
    def find(self, manifest: Path) -> dict[str, Source]:
        """What there is to read at a path.

        Args:
            manifest: as the user named it; nothing may be there.

        Returns:
            Sources by the name of their split, or under `ALL` if file names tell no splits.
            Empty: the path is not of this format.

        Raises:
            UserError: the path is of this format, and cannot be read.
        """

    @abstractmethod
    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """The rows of a source. No audio is opened, and nothing in the manifest is ever run.

        Args:
            source: what `find` returned.
            split: the split that the user chose. `corpus.read` selects by `Source.split` and by
                the column `split`; only a format whose files hold several splits needs this.

        Raises:
            UserError: the source cannot be read.
        """

    @abstractmethod
    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """Write a source less the dropped rows. Everything else stays as it is.

        Ids in `change.write_ids` have to be written into their rows. A format without ids leaves
        that out; `asr clean` then refuses the few corpora that need it.

        Args:
            source: what `find` returned.
            target: the file or folder to write. A folder may be there from an earlier try.
            change: which rows are dropped.
            split: the split that the user chose.

        Raises:
            UserError: the source cannot be read, or cannot be written.
        """

    def holds(self, source: Source, origin: str) -> bool:
        """Whether an origin is that of a row of a source."""
        return origin.startswith(f"{source.path}:")

    def inputs(self, source: Source) -> list[Path]:
        """What must not be overwritten when a source is cleaned."""
        return [source.path]

    def untextable(self, source: Source) -> str | None:
        """Why texts cannot be corrected in a source, and what to do; None: they can."""
        return None

    def untrimmable(self, source: Source) -> str | None:
        """Why a source cannot say that a row has less of its audio, and what to do; None: it can.

        Only what the readers of the format heed counts: a training on all of the audio would
        otherwise follow.
        """
        return None

    def target(self, source: Source, mark: str = CLEAN) -> Path:
        """Where a changed source goes by default: `train.clean.jsonl` beside `train.jsonl`."""
        return beside(source.path, mark, self.ending(source))

    def ending(self, source: Source) -> str:
        """What the name of a cleaned source has to end in; nothing for folders."""
        return "" if source.folder else ending(source.path)

    def written(self, source: Source, path: Path, target: Path) -> Source | None:
        """The source that a cleaned one is, to read it back; None: it cannot be compared.

        Args:
            source: what was cleaned.
            path: where it lies until it has been compared.
            target: where it will lie.
        """
        moves = source.base == source.path.parent and not source.folder
        base = target.parent if moves else source.base
        return replace(source, path=path, base=base, others=(), roots=(source.base,))


def ending(path: Path) -> str:
    """The ending of a file name as it is written: `.csv`, `.jsonl.gz`."""
    return "".join(path.suffixes[-2 if path.suffix.lower() == ".gz" else -1 :])


def is_file(path: Path, *endings: str) -> bool:
    """Whether a path is a regular file with one of some endings, in any case of letters."""
    # Path.is_file raises on impossible names.
    return ending(path).lower() in endings and os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; never raises."""
    return os.path.isdir(path)  # noqa: PTH112


def beside(path: Path, mark: str, tail: str = "") -> Path:
    """The path with a mark in its name, as `.clean`, before the ending."""
    path = path.absolute() if path.name in ("", "..") else path
    return path.with_name(f"{path.name.removesuffix(tail)}.{mark}{tail}")


def folder_or_here(folder: Path, name: object) -> Path:
    """The folder that the relative audio paths of a Kaldi folder or Lhotse manifest start from.

    The tools of both start from the current folder, but corpora that travel keep their audio beside
    the manifest. If the first recording is found beside the manifest, paths start there.
    """
    if not isinstance(name, str) or os.path.isabs(name) or os.path.exists(folder / name):  # noqa: PTH110, PTH117
        return folder
    return Path.cwd()
