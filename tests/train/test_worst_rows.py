"""Rows that a model gets wrong go to people, the worst first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.train.evaluation.worst_rows import worst_rows
from tests.train.results import write

HEARD = {
    "right": ("red green", "red green"),
    "half": ("red green", "red blue"),
    "all": ("red", "blue black"),
    "gone": ("red", "blue"),
}


def test_rows_with_errors_come_worst_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = {"domain": "d", "language": "English", "seconds": 1.0}
    write(
        Path("result.json"),
        [{**common, "id": i, "reference": r, "hypothesis": h} for i, (r, h) in HEARD.items()],
    )
    with pytest.raises(UserError, match=r"m\.jsonl"):
        worst_rows(tmp_path)
    rows = [
        {"id": id, "audio_filepath": f"{id}.wav", "text": text, "offset": 1.5, "duration": 1}
        for id, (text, _) in HEARD.items()
        if id != "gone"
    ]
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    worst, half = worst_rows(tmp_path)
    assert (worst.id, worst.text, worst.proposed) == ("all", "red", "blue black")
    assert (worst.audio, worst.offset, worst.codes) == ("all.wav", 1.5, ("WER 2.00",))
    assert (half.id, half.source) == ("half", "evaluation")
