"""JSONL, Lhotse's cuts, CSV and TSV, line for line as they came."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

from asr_gate.corpus.readers.delimited import records
from asr_gate.corpus.readers.row import every_line, json_object
from asr_gate.corpus.writers.change import Change

BOM = b"\xef\xbb\xbf"


def json_lines(manifest: Path, change: Change) -> bytes:
    """The lines that stay. Of a cut only the supervisions that stay."""
    kept = []
    for number, line in enumerate(every_line(manifest), start=1):
        origin = f"{manifest}:{number}"
        if not change.drops(origin):
            kept.append(_edited(line, origin, change) if change.touches(origin) else line)
    return b"".join(kept)


def _edited(line: bytes, origin: str, change: Change) -> bytes:
    value = json_object(line.removeprefix(BOM))
    assert isinstance(value, dict), f"{origin} was read as an object before"
    here = change.ids[origin]
    staying = [one for one in here if one not in change.dropped]
    if len(here) > 1:
        pairs = zip(value["supervisions"], here, strict=True)
        value["supervisions"] = [
            {**supervision, "id": one} if one in change.named else supervision
            for supervision, one in pairs
            if one not in change.dropped
        ]
    if len(staying) == 1:  # a cut with one supervision is known by its own id
        value["id"] = staying[0]
    return json_bytes(value) + line[len(line.rstrip(b"\r\n")) :]


def json_bytes(value: dict[str, Any]) -> bytes:
    """One object as Lhotse and NeMo write it: letters as they are, where they can be."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair can only be spelled
        return json.dumps(value).encode()


def table(manifest: Path, change: Change) -> bytes:
    """The header and the lines that stay; a column `id` is added where one has to be named."""
    tab = manifest.suffix.lower() == ".tsv"
    kept: list[str] = []
    place: int | None = None  # of the column `id`
    headed = False
    for number, text, cells in records(manifest):
        origin = f"{manifest}:{number}"
        if cells and not headed:
            headed = True
            place = max((n for n, name in enumerate(cells) if name == "id"), default=None)
            if place is None and change.named:
                text = _appended(text, "id", tab)
        elif change.drops(origin):
            continue
        elif cells and change.named:
            (name,) = {*change.ids.get(origin, ())} & change.named or {""}
            if place is None:
                text = _appended(text, name, tab)
            elif name:
                cells[place] = name
                text = _spelled(cells, tab) + _end(text)
        kept.append(text)
    with manifest.open("rb") as stream:
        marked = stream.read(len(BOM)) == BOM
    return (BOM if marked else b"") + "".join(kept).encode("utf-8", "surrogateescape")


def _appended(line: str, cell: str, tab: bool) -> str:
    end = _end(line)
    return line.removesuffix(end) + _spelled(["", cell], tab) + end


def _end(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _spelled(cells: list[str], tab: bool) -> str:
    if tab:
        return "\t".join(cells)
    spelled = io.StringIO()
    csv.writer(spelled, lineterminator="").writerow(cells)
    return spelled.getvalue()


def store(path: Path, content: bytes) -> None:
    """Write a file, compressed where its name says so; the same content gives the same bytes."""
    compressed = path.suffix.lower() == ".gz"
    path.write_bytes(gzip.compress(content, mtime=0) if compressed else content)
