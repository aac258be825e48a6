"""The fingerprint changes with the data and with nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus

ROWS: list[dict[str, Any]] = [
    {"audio_filepath": f"{n}.wav", "text": f"text {n}", "duration": 1.0, "domain": "d"}
    for n in range(3)
]


def make(folder: Path, rows: list[dict[str, Any]]) -> str:
    folder.mkdir(exist_ok=True)
    for n in range(3):
        if not (folder / f"{n}.wav").exists():
            soundfile.write(folder / f"{n}.wav", np.full(16000, n / 10), 16000)
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return fingerprint(read_corpus([manifest])).digest


def test_moved_and_reordered_it_is_the_same(tmp_path: Path) -> None:
    first = make(tmp_path / "a", ROWS)
    assert first.startswith("sha256:")
    assert make(tmp_path / "b", ROWS[::-1]) == first
    shutil.move(tmp_path / "a", tmp_path / "c")
    assert fingerprint(read_corpus([tmp_path / "c" / "m.jsonl"])).digest == first


@pytest.mark.parametrize(
    "change",
    [{"text": "text O"}, {"duration": 0.9}, {"offset": 0.1}, {"domain": "e"}, {"lang": "he"}],
)
def test_every_field_counts(change: dict[str, Any], tmp_path: Path) -> None:
    rows = [{**ROWS[0], "id": "0"}, *ROWS[1:]]
    changed = [{**rows[0], **change}, *rows[1:]]
    assert make(tmp_path / "a", rows) != make(tmp_path / "b", changed)


def test_rows_and_audio_count(tmp_path: Path) -> None:
    first = make(tmp_path / "a", ROWS)
    assert make(tmp_path / "a", ROWS[:2]) != first
    assert make(tmp_path / "a", [*ROWS, ROWS[0]]) != first
    with (tmp_path / "a" / "1.wav").open("r+b") as file:
        file.seek(100)
        file.write(b"\x01")
    assert make(tmp_path / "a", ROWS) != first
    (tmp_path / "a" / "1.wav").unlink()
    missing = fingerprint(read_corpus([tmp_path / "a" / "m.jsonl"])).digest
    assert missing not in (first, make(tmp_path / "a", ROWS))
