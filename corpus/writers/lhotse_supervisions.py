"""Lhotse supervisions and their recordings, line for line as they came."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Any

from asr_gate.corpus.readers.lhotse_supervisions import recordings_beside
from asr_gate.corpus.readers.row import every_line, json_object
from asr_gate.corpus.writers.change import Change
from asr_gate.corpus.writers.lines import json_bytes, json_lines, store


def write(supervisions: Path, base: Path, target: Path, change: Change) -> None:
    """Write both files, under their names.

    Args:
        supervisions: the file of supervisions.
        base: where the relative paths of its recordings start; they become absolute where that is
            the files' folder.
        target: the folder to write into; it is there.
        change: what is dropped.

    Raises:
        UserError: a file cannot be read.
    """
    lines = json_lines(supervisions, change)
    spoken = {
        str(found.get("recording_id"))
        for line in lines.splitlines()
        if isinstance(found := json_object(line), dict)
    }
    beside = recordings_beside(supervisions)
    recordings = []
    for line in every_line(beside):
        found = json_object(line)
        if isinstance(found, dict) and str(found.get("id")) in spoken:
            recordings.append(_absolute(found, beside.parent) if base == beside.parent else line)
    store(target / supervisions.name, lines)
    store(target / beside.name, b"".join(recordings))


def _absolute(recording: dict[str, Any], folder: Path) -> bytes:
    for source in recording["sources"]:
        source["source"] = os.path.abspath(folder / source["source"])  # noqa: PTH100
    return json_bytes(recording) + b"\n"
