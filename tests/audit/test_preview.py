"""`asr audit --dry-run`: what an audit will take, by a measured part of its sample."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from asr_gate.audit.preview import Preview
from asr_gate.cli.audit_preview import table
from tests.e2e.asr import asr_here, one_line
from tests.e2e.conftest import write_small

FOUND = Preview(
    aligner="embedded", device="cpu", utterances=10_000, seconds=36_000.0, unreadable=0,
    sample=1_000, sample_seconds=3_600.0, at_most=False, measured=20, measured_seconds=100.0,
    rate=2.0, preparation=60.0, measuring=1_800.0, shards=10, price=2.0,
)  # fmt: skip


def test_machines_share_what_is_measured_and_each_prepares() -> None:
    assert FOUND.on(1) == FOUND.total == 1_860.0
    assert FOUND.on(4) == 60.0 + 450.0
    assert FOUND.on(16) == FOUND.on(10), "there are ten shards"
    assert FOUND.cost == pytest.approx(1_860 / 3_600 * 2)
    assert replace(FOUND, price=None).cost is None
    said = table(FOUND)
    assert "31.0 min" in said and "4 machines 8.5 min" in said and "16" not in said
    assert "1.03 at 2 an hour" in said
    assert "at most 31.0 min" in table(replace(FOUND, at_most=True))


def test_a_dry_run_measures_a_part_and_writes_nothing(tmp_path: Path) -> None:
    write_small(tmp_path / "small.jsonl", shift=0)
    before = sorted(tmp_path.iterdir())
    run = ("audit", "small.jsonl", "--all", "--controls", "3", "--dry-run")
    done = asr_here(*run, "--price", "3600", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sample"] == found["utterances"] > 0
    assert 0 < found["measured_seconds"] <= found["sample_seconds"] == found["seconds"]
    assert found["measuring"] == pytest.approx(found["sample_seconds"] / found["rate"])
    assert found["cost"] == pytest.approx(found["total"])
    assert sorted(tmp_path.iterdir()) == before
    assert "--shard" in one_line(asr_here(*run, "--shard", "1/2", cwd=tmp_path))
    row = {"audio_filepath": "no.wav", "text": "a word", "duration": 1.0}
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    rows = [row | {"audio_filepath": "broken.wav", "duration": None}, row | {"duration": None}]
    (tmp_path / "broken.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert "can be read" in one_line(asr_here("audit", "broken.jsonl", "--dry-run", cwd=tmp_path))
