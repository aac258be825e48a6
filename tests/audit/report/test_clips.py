"""What people hear in the page of a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_gate.audit.report import clips as clips_module
from asr_gate.audit.report.clips import Clip, clips
from asr_gate.corpus.cache import Cache
from asr_gate.corpus.utterance import Utterance


def test_audio_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Utterance(name, "x", tmp_path / f"{name}.wav", f"{name}.wav", "m:1") for name in "abc"]
    rows.append(Utterance("part", "x", tmp_path / "a.wav", "a.wav", "m:4", offset=0.2))

    def record(name: str, height: float) -> None:
        soundfile.write(tmp_path / f"{name}.wav", np.full(8000, height, np.float32), 16000)

    def encoded(cache: Cache | None) -> dict[str, Clip]:
        return dict(clips(rows, cache))

    record("a", 0.5)
    record("b", 0.25)
    (tmp_path / "c.wav").write_bytes(b"no audio")
    first = encoded(Cache(tmp_path / "cache", 10**9))
    assert list(first) == ["a", "b", "part"]
    assert len({clip.peaks for clip in first.values()}) == 2
    record("b", 0.75)
    times: list[int] = []
    vorbis = clips_module.vorbis
    monkeypatch.setattr(clips_module, "vorbis", lambda samples: times.append(1) or vorbis(samples))
    second = encoded(Cache(tmp_path / "cache", 10**9))
    assert len(times) == 1
    assert (first["a"], first["part"]) == (second["a"], second["part"])
    assert first["b"] != second["b"]
    assert encoded(None).keys() == first.keys()
