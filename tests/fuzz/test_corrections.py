"""Damaged corrections, verdicts, tables and exports of Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.audit.review.as_corrections import read_work
from asr_gate.corpus.correct import plan, write_corrected
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.review_table import table
from tests.fuzz.harness import Reader, fuzz

CORRECTIONS = [
    {"id": "a", "action": "text", "new_text": "one", "old_text": "t", "who": "d", "why": "w"},
    {"id": "a", "action": "trim", "start": 0.5, "end": 1.0, "who": "d"},
    {"id": "b", "action": "drop", "at": "2026-01-01T00:00:00Z", "source": "review"},
    {"id": "c", "action": "keep"},
]
VERDICTS = [
    {"report": "sha256:" + "0" * 64, "id": "a", "verdict": verdict, "text": text, "start": None,
     "end": None, "note": "n", "who": "d", "at": "2026-01-01T00:00:00Z"}
    for verdict, text in (("correct", "one"), ("wrong", None))
]  # fmt: skip
TASKS = [
    {
        "data": {"id": "a", "text": "t", "offset": 1.0, "audio": "a.wav"},
        "annotations": [
            {
                "completed_by": {"id": 1, "email": "d@x.org"},
                "created_at": "2026-01-01T00:00:00Z",
                "result": [
                    {"from_name": "transcription", "value": {"text": ["one"]}},
                    {"from_name": "spans", "value": {"labels": ["keep"], "start": 1.5, "end": 2}},
                    {"from_name": "verdict", "value": {"choices": ["right"]}},
                ],
            }
        ],
    }
]
ROW = {"id": "a", "text": "=t", "verdict": "trim", "keep_from": "0,5", "keep_to": "1", "note": "n"}


def lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def reads(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        for one in read_work([folder / name]):
            one.model_dump_json()

    return read


FILES = {
    "corrections": ("c.jsonl", lines(CORRECTIONS)),
    "verdicts": ("review.jsonl", lines(VERDICTS)),
    "label_studio": ("export.json", json.dumps(TASKS).encode()),
    "table": ("back.csv", table([ROW, {"id": "b", "text": "t", "new_text": "x"}])),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_damaged_corrections(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    file, content = FILES[name]
    reader = Reader(f"work_{name}", {file: content}, reads(file), 60)
    record_property(f"fuzzed corrections, {name}", dict(fuzz(reader, tmp_path)))


def applies(folder: Path) -> str:
    """Whatever corrections can be read are applied to a sound corpus, or a line says why not."""
    corpus = read_corpus([folder / "m.jsonl"])
    planned = plan(corpus, read_work([folder / "c.jsonl"]))
    if not planned.count("applied"):
        return "nothing applied"
    try:
        (placed,) = write_corrected(corpus, planned)
    except UserError as error:
        assert "no row would be left" in str(error) or "would be read as" in str(error)
        raise
    kept = [u for u in corpus.utterances if u.id not in planned.edits.dropped]
    assert len(read_corpus([placed.path]).utterances) == len(kept)
    return "read"


@pytest.mark.slow
def test_damaged_corrections_of_a_sound_corpus(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rows: list[dict[str, object]] = [
        {"id": id, "audio_filepath": "x.wav", "text": "t", "duration": 2.0} for id in "abcd"
    ]
    reader = Reader("applied", {"c.jsonl": lines(CORRECTIONS)}, applies, 60)
    (tmp_path / "m.jsonl").write_bytes(lines(rows))
    record_property("fuzzed corrections, applied", dict(fuzz(reader, tmp_path)))
