"""NeMo-style JSONL: one object a line with `audio_filepath`, `text`, `duration` and more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_gate.corpus.readers.row import Row, json_object, lines


def rows(manifest: Path) -> Iterator[Row]:
    """Rows of a JSONL manifest; blank lines are passed over.

    Raises:
        UserError: the file cannot be read.
    """
    for number, line in lines(manifest):
        found = json_object(line)
        origin = f"{manifest}:{number}"
        yield Row(origin, fault=found) if isinstance(found, str) else Row(origin, found)
