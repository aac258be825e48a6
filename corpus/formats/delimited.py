"""CSV and TSV with a header line; columns as in NeMo manifests, or Common Voice's names.

A Common Voice release is a folder of such TSVs, one a split, beside the folder `clips`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats.format import (
    ALL,
    TEXT_COLUMNS,
    Change,
    Format,
    Row,
    Source,
    is_file,
    is_folder,
)
from asr_gate.corpus.formats.lines import BOM, LONGEST_LINE, NOT_UTF8

LONGEST_CELL = 10_000_000
"""Characters; the library's own limit is shorter than some transcripts."""

CLIPS = "clips"
"""The folder beside the TSVs of Common Voice; `path` is relative to it."""

COMMON_VOICE = ("train", "dev", "test", "validated", "invalidated", "other")
"""The TSVs of a Common Voice release that list clips with sentences."""


class Delimited(Format):
    """A CSV or TSV file. TSV is read without quoting, as Common Voice writes it."""

    manifests = ".csv, .tsv, a Common Voice folder"

    def find(self, manifest: Path) -> dict[str, Source]:
        """A file by its ending, or the tables of a Common Voice release by their names."""
        if is_file(manifest, ".csv", ".tsv"):
            return {ALL: self._source(manifest)}
        if not is_folder(manifest / CLIPS):
            return {}
        tables = [manifest / f"{name}.tsv" for name in COMMON_VOICE]
        return {table.stem: self._source(table) for table in tables if table.is_file()}

    def _source(self, table: Path) -> Source:
        name = table.name.split(".")[0]
        released = name in COMMON_VOICE and is_folder(table.parent / CLIPS)
        return Source(self, table, table.parent, split=name if released else None)

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row for each line but the header.

        Raises:
            UserError: the file is not CSV, its header is not UTF-8, or it cannot be read.
        """
        manifest = source.path
        header: list[str] | None = None
        clips = False
        for number, _, cells in _records(manifest):
            if not cells:
                continue
            origin = f"{manifest}:{number}"
            sound = all(map(_is_utf8, cells))
            if header is None:
                if not sound:
                    raise UserError(f"{origin}: {NOT_UTF8}")
                if twice := _named_twice(cells):
                    raise UserError(
                        f"{origin}: two columns are called '{twice[0]}'; rename one of them"
                    )
                header = cells
                clips = {"path", "client_id"} <= {*header} and is_folder(manifest.parent / CLIPS)
            elif not sound:
                yield Row(origin, fault=NOT_UTF8)
            elif len(cells) != len(header):
                more = "more" if len(cells) > len(header) else "fewer"
                yield Row(origin, fault=f"{more} cells than the header has columns")
            else:
                fields = dict(zip(header, cells, strict=True))
                if clips and fields["path"]:
                    fields["path"] = f"{CLIPS}/{fields['path']}"
                yield Row(origin, fields)

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """The header and the lines that stay, byte for byte.

        If an id would be lost it is written into the column `id`, which is added if there is none.
        """
        manifest = source.path
        with manifest.open("rb") as stream:
            marked = stream.read(len(BOM)) == BOM
        staying = self._staying(manifest, change)
        lines = (line.encode("utf-8", "surrogateescape") for line in staying)
        with target.open("wb") as file:
            file.write(BOM if marked else b"")
            file.writelines(lines)

    def _staying(self, manifest: Path, change: Change) -> Iterator[str]:
        """The header and the lines that stay, corrected."""
        tab = manifest.suffix.lower() == ".tsv"
        id_column: int | None = None
        text_column = 0
        columns: dict[str, int] = {}
        headed = False
        for number, text, cells in _records(manifest):
            origin = f"{manifest}:{number}"
            if cells and not headed:
                headed = True
                id_column = max((n for n, name in enumerate(cells) if name == "id"), default=None)
                columns = {name: n for n, name in enumerate(cells)}
                text_column = next(cells.index(name) for name in TEXT_COLUMNS if name in cells)
                if id_column is None and change.write_ids:
                    text = _with_cell(text, "id", tab)
            elif change.drops(origin):
                continue
            elif cells:
                correction = change.text_at(origin)
                if correction is not None:
                    cells[text_column] = correction.applied(cells[text_column])
                trim = change.trim_at(origin)
                if trim is not None:
                    cells[columns["offset"]] = repr(trim.offset)
                    cells[columns["duration"]] = repr(trim.duration)
                (name,) = {*change.ids.get(origin, ())} & change.write_ids or {""}
                if id_column is not None and name:
                    cells[id_column] = name
                if correction or trim or (id_column is not None and name):
                    text = _as_line(cells, tab) + _line_end(text)
                if id_column is None and change.write_ids:
                    text = _with_cell(text, name, tab)
            yield text

    def untrimmable(self, source: Source) -> str | None:
        """Only columns of its own can say where an utterance lies in its file."""
        header = next((cells for _, _, cells in _records(source.path) if cells), [])
        if {"offset", "duration"} <= {*header}:
            return None
        return (
            "the table has no columns offset and duration; add them if what reads it heeds them, "
            "or cut the file"
        )


def _named_twice(header: list[str]) -> list[str]:
    """Names that several columns of a header have."""
    return [name for name, count in Counter(header).items() if count > 1]


def _records(manifest: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Header and rows of a file: the number of the row's last line, its lines, its cells.

    Blank lines have no cells. Bytes that are not UTF-8 are kept as half surrogates.

    Raises:
        UserError: the file is not CSV, or cannot be read.
    """
    csv.field_size_limit(LONGEST_CELL)
    taken: list[str] = []
    number = 0
    try:
        with manifest.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            kept = _kept(manifest, stream, taken)
            if manifest.suffix.lower() == ".tsv":
                reader = csv.reader(kept, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                reader = csv.reader(kept, strict=True)
            for cells in reader:
                number = reader.line_num
                yield number, "".join(taken), cells
                taken.clear()
    except csv.Error as error:
        raise UserError(
            f"{manifest}:{number + 1}: not valid CSV ({error}); correct the line"
        ) from error
    except OSError as error:
        raise UserError(f"{manifest}: cannot be read ({error.strerror})") from error


def _kept(manifest: Path, stream: TextIO, taken: list[str]) -> Iterator[str]:
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise UserError(
                f"{manifest}: a line is longer than {LONGEST_LINE} characters; no row is"
            )
        taken.append(line)
        yield line


def _is_utf8(cell: str) -> bool:
    return cell.isascii() or not any("\udc80" <= character <= "\udcff" for character in cell)


def _with_cell(line: str, cell: str, tab: bool) -> str:
    """A line with one cell more at its end."""
    end = _line_end(line)
    return line.removesuffix(end) + _as_line(["", cell], tab) + end


def _line_end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _as_line(cells: list[str], tab: bool) -> str:
    if tab:
        return "\t".join(cells)
    line = io.StringIO()
    # With another end of line the library leaves line breaks in cells unquoted.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n")
