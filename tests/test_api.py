"""What `asr_gate` offers to Python code."""

from __future__ import annotations

from pathlib import Path

import pytest

import asr_gate
from tests.e2e.conftest import write_small
from tests.speech import ROOT

STOP = ROOT / "audit" / "example" / "stop.jsonl"


@pytest.mark.slow
def test_a_corpus_is_audited_loaded_and_refused(tmp_path: Path) -> None:
    manifest = write_small(tmp_path / "small_stop.jsonl", shift=3)
    report = asr_gate.audit_corpus(manifest, out=tmp_path, controls=8)
    assert report.decision == "STOP"
    assert report.content.policy["controls"]["per_kind"] == 8
    assert len(report.utterances) == report.content.total_samples
    again = asr_gate.load_report(tmp_path / "phase0")
    assert again.content == report.content
    assert again.words.equals(report.words)
    with pytest.raises(asr_gate.Stopped):
        asr_gate.verify(report, manifest)
    with pytest.raises(asr_gate.NoVerdict):
        asr_gate.verify(tmp_path / "none")


@pytest.mark.parametrize("name", ["../outside", "", ".hidden", "a/b"])
def test_a_name_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(asr_gate.UserError):
        asr_gate.audit_corpus(STOP, out=tmp_path / "reports", name=name)
    assert list(tmp_path.iterdir()) == []
