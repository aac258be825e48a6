"""Files of texts that are searched beside those of a corpus: `--texts FILE`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from asr_gate.audit.pairing.index import Text
from asr_gate.audit.records.pairing import SearchedFile
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import open_regular
from asr_gate.corpus.formats.format import LANG_COLUMNS, TEXT_COLUMNS, Row
from asr_gate.corpus.formats.lines import lines
from asr_gate.corpus.mirror import Mirror, mirrored
from asr_gate.corpus.parse import is_unicode
from asr_gate.corpus.read import locate
from asr_gate.corpus.storage import url_of
from asr_gate.corpus.utterance import Corpus

PLAIN = (".txt", ".txt.gz")
"""Endings of files with one text a line. All others are manifests, whose audio is not asked for."""
LONGEST = 20_000
"""Characters. A longer text is no utterance's, and is passed over."""


@dataclass(frozen=True)
class TextFile:
    """A file of texts, as it was when an audit began."""

    path: Path
    digest: str
    """SHA-256 of its bytes."""
    stamp: tuple[int, int]
    """Size, and time of the last change."""
    mirror: Mirror | None = None
    """Of what the file is a copy; None: of nothing."""

    @property
    def name(self) -> str:
        """Path or URL, as messages name it."""
        return self.mirror.named(str(self.path)) if self.mirror else str(self.path)

    def read(self) -> Iterator[tuple[int, Text]]:
        """Every text that has any letters, with its line.

        Raises:
            UserError: the file cannot be read, or has malformed rows.
        """
        with self.mirror.telling() if self.mirror else nullcontext():
            yield from _plain(self.path) if self.path.name.endswith(PLAIN) else _rows(self.path)

    def require_unchanged(self) -> None:
        """Refuse a file that was written to since.

        Raises:
            UserError: it was.
        """
        if _stamp(self.path) != self.stamp:
            raise UserError(f"{self.name}: changed while it was read; start again")


def text_file(path: Path) -> TextFile:
    """A file of texts, with what tells that it is still the same.

    Args:
        path: of the file, or the URL of one in a store, which is copied.

    Raises:
        UserError: there is none, or it is no regular file.
    """
    url, mirror = url_of(path), None
    if url is not None:
        path, mirror = mirrored(url)
    stamp = _stamp(path)
    try:
        with open_regular(path) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return TextFile(path, digest, stamp, mirror)
    except OSError as error:
        raise UserError(f"--texts {path}: cannot be read ({error.strerror})") from error


def texts_at(
    files: Iterable[SearchedFile], corpus: Corpus, places: Collection[str]
) -> dict[str, str]:
    """The texts that stand at `FILE:line`, by that name.

    Args:
        files: as a report names them.
        corpus: of the report.
        places: the wanted names.

    Raises:
        UserError: a file is not there any more, or not what the audit read.
    """
    found: dict[str, str] = {}
    for one in files:
        file = text_file(corpus.placed(one.file))
        if file.digest != one.sha256:
            raise UserError(f"{file.name}: not the texts that were audited; audit again")
        names = ((f"{one.file}:{line}", text.text) for line, text in file.read())
        found |= {name: text for name, text in names if name in places}
    return found


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise UserError(f"--texts {path}: cannot be read ({reason}); check the path") from error
    return found.st_size, found.st_mtime_ns


def _plain(path: Path) -> Iterator[tuple[int, Text]]:
    for number, line in lines(path):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: not UTF-8; save the file as UTF-8") from error
        if text and len(text) <= LONGEST:
            yield number, Text(text, None)


def _rows(path: Path) -> Iterator[tuple[int, Text]]:
    for source in locate(path, None):
        for number, row in enumerate(source.format.rows(source, None), start=1):
            if row.fault:
                raise UserError(f"{row.origin}: {row.fault}; correct or remove the row")
            line = row.origin.rpartition(":")[2]
            found = _text_of(row)
            if found.text.strip() and len(found.text) <= LONGEST:
                yield int(line) if line.isdecimal() else number, found


def _text_of(row: Row) -> Text:
    column = next((name for name in TEXT_COLUMNS if name in row.fields), None)
    if column is None:
        raise UserError(
            f"{row.origin}: no text; there are {', '.join(map(str, row.fields)) or 'no columns'}. "
            "Name a manifest with a column 'text', or a file of lines FILE.txt"
        )
    text = row.fields[column]
    lang = next((row.fields[name] for name in LANG_COLUMNS if row.fields.get(name)), None)
    if not isinstance(text or "", str) or not is_unicode(text or ""):
        raise UserError(f"{row.origin}: text is no string; correct or remove the row")
    return Text(text or "", lang if isinstance(lang, str) else None)
