"""NeMo-style JSONL: one object a line with `audio_filepath`, `text`, `duration` and more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from corpus.errors import UserError
from corpus.readers import Row


def rows(manifest: Path) -> Iterator[Row]:
    """Rows of a JSONL manifest; blank lines are passed over.

    Raises:
        UserError: the file is not UTF-8 or cannot be read.
    """
    try:
        with manifest.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(f"{manifest}:{number}", line)
    except UnicodeDecodeError as error:
        raise UserError(f"{manifest}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{manifest}: cannot be read ({error.strerror})") from error


def _row(origin: str, line: str) -> Row:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Row(origin, {}, f"not JSON ({error}); one object a line is expected")
    if not isinstance(fields, dict):
        return Row(origin, {}, "not a JSON object; one a line is expected")
    return Row(origin, fields)
