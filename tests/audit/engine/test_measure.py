"""What is measured is the audio that the fingerprint speaks of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from asr_gate.audit.acoustic import load_model
from asr_gate.audit.engine.measure import Measurer
from asr_gate.corpus.fingerprint import fingerprint
from asr_gate.corpus.read import read_corpus
from tests.speech import babble


def test_audio_that_changed_since_the_fingerprint_is_a_fault(tmp_path: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    rows = ""
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", babble(1.0), 16000)
        rows += f'{{"audio_filepath": "{name}.wav", "text": "one"}}\n'
    manifest.write_text(rows)
    corpus = read_corpus([manifest])
    identity = fingerprint(corpus, cached=False)
    soundfile.write(tmp_path / "a.wav", np.flip(babble(1.0)), 16000)
    model = load_model("embedded", language="en", device="cpu")
    transcripts = {u.id: model.spell(u.text, u.lang) for u in corpus.utterances}
    measurer = Measurer(model, transcripts, {}, 60.0, identity)
    try:
        changed, same = measurer.measure(corpus.utterances)
    finally:
        measurer.stop()
    assert changed.fault is not None
    assert changed.fault.code == "S001"
    assert "changed since the audit began" in changed.fault.reason
    assert same.fault is None or same.fault.code != "S001"
