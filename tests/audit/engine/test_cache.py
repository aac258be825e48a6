"""Measurements of earlier audits: kept by content, bounded, and never another's."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from asr_gate import api
from asr_gate.audit.acoustic import load_model
from asr_gate.audit.acoustic.embedded import EmbeddedModel
from asr_gate.audit.engine.keys import Keys
from asr_gate.audit.engine.stored import Entry, emission_from_bytes, emission_to_bytes
from asr_gate.audit.records.measured import Fault
from asr_gate.corpus.cache import VARIABLE
from asr_gate.corpus.files import cache_home
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.text.letters import spell
from asr_gate.corpus.utterance import Utterance
from bench.incremental import bundled, sequences, write
from tests.audit.controls.rows import row

EMISSION = np.log(np.full((50, 29), 1 / 29, np.float32))
ENTRY = Entry(
    replace(row(1), id="", domain="", lang=None, text="", cohort_loss=None),
    {"a": 0.1 + 0.2, "b": None},
)


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_what_is_kept_comes_back_as_it_was() -> None:
    faulty = Entry(replace(ENTRY.row, words=(), fault=Fault("T001", "no letters")), {})
    kept = Entry(row(1, planted={"cut": 1.0}), ENTRY.known).to_bytes()
    assert Entry.from_bytes(kept) == ENTRY, "ids, texts and controls are the audit's"
    assert Entry.from_bytes(faulty.to_bytes()) == faulty
    found = emission_from_bytes(emission_to_bytes(EMISSION), 29)
    assert found is not None
    assert np.array_equal(found, EMISSION)
    assert found.dtype == np.float32


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", emission_to_bytes(EMISSION)])
def test_something_else_is_no_measurement(content: bytes | None) -> None:
    assert Entry.from_bytes(content) is None
    assert emission_from_bytes(content, 30) is None, "of another model"


def test_what_finds_speech_decides_the_measurements_and_not_the_emission(tmp_path: Path) -> None:
    """The key of the emission is within that of the row, and knows of no detector."""
    keys = Keys(load_model("embedded", device="cpu").info, "cpu", {})
    utterance = Utterance(id="a", text="b", audio=tmp_path / "a.wav", audio_name="a", origin="m:1")
    emission = keys.audio("digest", utterance, "")
    spelled = spell("b", "ab")
    rows = {keys.row(emission, utterance, spelled, one) for one in get_args(Detector)}
    assert len(rows) == len(get_args(Detector))


class Said:
    """Progress that keeps what an audit says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def start(self, total: int, done: int) -> None: ...

    def advance(self, utterances: int, seconds: float) -> None: ...


@pytest.mark.usefixtures("switched_on")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_corrected_corpus_has_the_report_of_a_fresh_audit(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU emissions follow from the group; this one is the CPU under its name."""
    monkeypatch.setattr(EmbeddedModel, "device", property(lambda _: device, lambda *_: None))
    counted = sequences(bundled()[:6], tmp_path, 2)
    assert counted.equal == counted.audits == 2
    if device == "cpu":  # each edit changes the one group of a GPU
        assert counted.kept > 0
        assert counted.measured > 0


@pytest.mark.usefixtures("switched_on")
def test_only_what_changed_is_measured(tmp_path: Path) -> None:
    rows = bundled()[:8]

    def audit(name: str, cache: bool = True) -> list[str]:
        random.Random(name).shuffle(rows)
        write(rows, tmp_path / "m.jsonl")
        said = Said()
        root = Path(rows[0]["audio_filepath"]).parent
        report = api.audit_corpus(
            tmp_path / "m.jsonl",
            name=name,
            out=tmp_path / "reports",
            fraction=1.0,
            audio_root=root,
            cache=cache,
            page_audio=False,
            progress=said,
        )
        assert report.content.total_samples == 8
        return said.lines[1:]

    assert audit("without", cache=False) == []
    assert not (cache_home() / "measurements").exists()
    assert audit("first") == []
    assert audit("same") == ["measured 0, kept 8 from earlier audits"]
    rows[0] = {**rows[0], "text": rows[1]["text"]}
    rows[1] = {**rows[1], "id": "another"}
    assert audit("corrected") == ["measured 1, kept 7 from earlier audits"]
    assert audit("without", cache=False) == []
