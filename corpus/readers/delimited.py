"""CSV and TSV with a header line; columns as in NeMo manifests, or Common Voice's names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from corpus.errors import UserError
from corpus.readers import Row

LONGEST_CELL = 10_000_000
"""Characters; the library's own limit is shorter than some transcripts."""


def rows(manifest: Path) -> Iterator[Row]:
    """Rows of a CSV or TSV file, by its ending.

    TSV is read without quoting, as Common Voice writes it.

    Raises:
        UserError: the file is not UTF-8 or not CSV, or cannot be read.
    """
    csv.field_size_limit(LONGEST_CELL)
    tab = manifest.suffix.lower() == ".tsv"
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as lines:
            if tab:
                reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                reader = csv.DictReader(lines, strict=True)
            for fields in reader:
                origin = f"{manifest}:{reader.line_num}"
                if None in fields:
                    yield Row(origin, {}, "more cells than the header has columns")
                elif None in fields.values():
                    yield Row(origin, {}, "fewer cells than the header has columns")
                else:
                    yield Row(origin, fields)
    except UnicodeDecodeError as error:
        raise UserError(f"{manifest}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{manifest}: not valid CSV ({error}); mend the line") from error
    except OSError as error:
        raise UserError(f"{manifest}: cannot be read ({error.strerror})") from error
