"""Pages of reports to open in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from asr_gate.audit.records.pairing import OtherText
from asr_gate.audit.report.clips import clips
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.report.page import FOLDER, page, placed
from asr_gate.audit.report.page_data import page_data
from asr_gate.audit.report.schemas import SCHEMAS
from asr_gate.audit.report.write import rows_of_tables
from asr_gate.corpus.utterance import Utterance
from tests.audit.controls.rows import normal_rows, row
from tests.audit.report.test_build import corpus_of, result_of

RATE = 16000


@pytest.fixture(scope="session")
def data() -> dict[str, Any]:
    """A corpus with three bad rows among sixty, one of which says another's text, as the page
    shows it."""
    rows = [
        *normal_rows(57, 0),
        row(97, deletion=9.0),
        row(98, speech=12.0),
        replace(
            row(99, mismatch=1.2),
            text="quite another sentence",
            others=(OtherText("d-3", 40, 0.1), OtherText("d-4", 40, 0.9)),
        ),
    ]
    result = result_of(rows)
    tables = {
        name: pa.Table.from_pylist(table, SCHEMAS[name])
        for name, table in rows_of_tables(result, corpus_of(rows)).items()
    }
    return page_data(result.report, tables, Path("reports/phase0"), Data(["m.jsonl"]), 5000)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a tone."""
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    time = np.arange(3 * RATE) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 440 * time), RATE)
    return path


def utterance(id: str, sound: Path) -> Utterance:
    return Utterance(id, "", sound, "tone.wav", "m.jsonl:1")


def write_page(
    folder: Path, data: dict[str, Any], sound: Path, inline_bytes: int = 10_000_000
) -> Path:
    """`report.html` with the tone for each of the first rows, and what lies beside it."""
    heard = [one for one in data["rows"] if "text" in one][:20]
    made = list(clips([utterance(one["id"], sound) for one in heard]))
    sounds, files = placed(data, made, inline_bytes)
    for name, content in files.items():
        (folder / FOLDER).mkdir(exist_ok=True)
        (folder / FOLDER / name).write_bytes(content)
    path = folder / "report.html"
    path.write_bytes(page({**data, "sounds": sounds}, "a report")[0])
    return path
