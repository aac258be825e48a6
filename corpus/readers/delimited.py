"""CSV and TSV with a header line; columns as in NeMo manifests, or Common Voice's names."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers.row import NOT_UTF8, Row

LONGEST_CELL = 10_000_000
"""Characters; the library's own limit is shorter than some transcripts."""

CLIPS = "clips"
"""The folder beside the TSVs of Common Voice; `path` is relative to it."""


def rows(manifest: Path) -> Iterator[Row]:
    """Rows of a CSV or TSV file, by its ending.

    TSV is read without quoting, as Common Voice writes it.

    Raises:
        UserError: the file is not CSV, its header is not UTF-8, or it cannot be read.
    """
    header: list[str] | None = None
    clips = False
    for number, _, cells in records(manifest):
        if not cells:
            continue
        origin = f"{manifest}:{number}"
        sound = all(map(_is_utf8, cells))
        if header is None:
            if not sound:
                raise UserError(f"{origin}: {NOT_UTF8}")
            if twice := header_twice(cells):
                raise UserError(
                    f"{origin}: the column '{twice[0]}' stands there twice; rename one of them"
                )
            header = cells
            clips = {"path", "client_id"} <= {*header} and (manifest.parent / CLIPS).is_dir()
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


def header_twice(header: list[str]) -> list[str]:
    """Columns that a header names more than once."""
    return [name for name, count in Counter(header).items() if count > 1]


def records(manifest: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Header and rows of a file: the number of the last line, the lines themselves, the cells.

    Blank lines come without cells. Bytes that are not UTF-8 are kept as half surrogates.

    Raises:
        UserError: the file is not CSV, or cannot be read.
    """
    csv.field_size_limit(LONGEST_CELL)
    taken: list[str] = []
    number = 0
    try:
        with manifest.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            kept = _kept(stream, taken)
            if manifest.suffix.lower() == ".tsv":
                reader = csv.reader(kept, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                reader = csv.reader(kept, strict=True)
            for cells in reader:
                number = reader.line_num
                yield number, "".join(taken), cells
                taken.clear()
    except csv.Error as error:
        raise UserError(f"{manifest}:{number + 1}: not valid CSV ({error}); mend it") from error
    except OSError as error:
        raise UserError(f"{manifest}: cannot be read ({error.strerror})") from error


def _kept(stream: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in stream:
        taken.append(line)
        yield line


def _is_utf8(cell: str) -> bool:
    return cell.isascii() or not any("\udc80" <= character <= "\udcff" for character in cell)
