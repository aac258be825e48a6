"""Small corpora of tones, and reports about them, for the trainer's tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.report import SCHEMA_VERSION, Decision, Report
from asr_gate.corpus.fingerprint import fingerprint, to_lines
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.plan import Plan
from asr_gate.train.record import Phase0, RunRecord

WORDS = ("red", "green", "blue", "black", "white")
PITCHES = (220.0, 330.0, 440.0, 550.0, 660.0)
RATE = 16000


def utterance(
    id: str,
    seconds: float | None = 2.0,
    text: str = "red",
    lang: str | None = "en",
    split: str | None = None,
    speaker: str | None = None,
    domain: str = "default",
    recording: str = "missing.wav",
) -> Utterance:
    """A row whose audio is not there."""
    return Utterance(
        id=id,
        text=text,
        audio=Path(recording),
        audio_name=recording,
        origin=f"m.jsonl:{id}",
        duration=seconds,
        lang=lang,
        split=split,
        speaker=speaker,
        domain=domain,
    )


def write_tones(path: Path, words: Sequence[str], seconds_a_word: float = 0.4) -> float:
    """Write one tone a word, its pitch by the word; returns the length in seconds."""
    samples = round(seconds_a_word * RATE)
    time = np.arange(samples) / RATE
    tones = [0.3 * np.sin(2 * np.pi * PITCHES[WORDS.index(word)] * time) for word in words]
    soundfile.write(path, np.concatenate(tones).astype(np.float32), RATE)
    return samples * len(words) / RATE


def write_corpus(folder: Path, rows: int = 12, seed: int = 0, splits: Sequence[str] = ()) -> Path:
    """A manifest of `rows` utterances of two to four words in two domains; splits take turns."""
    folder.mkdir(parents=True, exist_ok=True)
    choose = np.random.default_rng(seed)
    lines = []
    for index in range(rows):
        words = [WORDS[i] for i in choose.integers(0, len(WORDS), size=2 + index % 3)]
        name = f"{index:03d}.wav"
        fields: dict[str, Any] = {
            "id": f"u{index:03d}",
            "audio_filepath": name,
            "text": " ".join(words).capitalize() + ".",
            "duration": write_tones(folder / name, words),
            "lang": "en",
            "domain": "kan_clean" if index % 2 else "whatsapp_noisy",
        }
        if splits:
            fields["split"] = splits[index % len(splits)]
        lines.append(json.dumps(fields))
    manifest = folder / "corpus.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def write_report(
    folder: Path,
    manifest: Path,
    decision: Decision = "PROCEED",
    excluded: Collection[str] = (),
    skipped: Collection[str] = (),
    leaked: Collection[str] = (),
    split: str | None = None,
    bad_split: str | None = None,
) -> Path:
    """A report about `manifest` that verifies, with its table of utterances."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus([manifest], split=split)
    sampled = [row for row in corpus.utterances if row.id not in skipped]
    fingerprints = fingerprint(corpus)
    rows = folder / "rows.jsonl"
    rows.write_bytes(b"".join(to_lines(sorted(fingerprints.rows.items()))))
    rate = len(excluded) / max(1, len(sampled))
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "decision": decision,
        "recommendation": "as the test says",
        "reasons": [f"{100 * rate:.1f} % of the corpus is of low quality"],
        "total_samples": len(sampled),
        "low_quality_count": len(excluded),
        "low_quality_percentage": 100 * rate,
        "estimate": {
            "rate": rate, "low": rate, "high": rate, "confidence": 0.95, "method": "census",
            "judged": 1.0,
            "hours": None, "corrected": None,
        },
        "coverage_distribution": {
            "p10": 0.9, "p25": 0.9, "p50": 0.95, "p75": 1.0, "p90": 1.0, "mean": 0.93,
            "intervals": {},
        },
        "domain_statistics": {},
        "split_statistics": {} if bad_split is None else {
            bad_split: {
                "count": 9, "population": 9, "low_quality_count": 6,
                "low_quality_pct": 66.7, "low": 40.0, "high": 80.0,
            }
        },
        "rules": {},
        "findings": [
            {
                "id": id, "code": code, "severity": severity, "message": "as the test says",
                "origin": f"corpus.jsonl:{id}", "domain": "d", "speaker": None, "split": None,
                "start": None, "end": None, "counts": counts,
            }
            for code, severity, counts, ids in (
                ("A001", "error", True, excluded), ("D004", "warning", False, leaked)
            )
            for id in sorted(ids)
        ],
        "controls": {},
        "domain_controls": {},
        "thresholds": {},
        "absolute_thresholds": {},
        "skipped": [{"id": id, "origin": "test", "reason": "unreadable"} for id in skipped],
        "dataset": {
            "fingerprint": fingerprints.digest,
            "fingerprint_audio": "full",
            "utterances": len(corpus.utterances),
            "hours": 0.01,
            "manifests": [str(manifest)],
            "split": split,
        },
        "sampling": {"seed": 1, "fraction": 1.0, "method": "all", "strata": {}, "sequential": None},
        "aligner": {
            "name": "embedded", "revision": "1", "weights_sha256": "0", "language": "en",
            "stride": 0.02, "delay": 0.0, "delay_measured": False,
        },
        "policy": load_policy().model_dump(mode="json"),
        "tables": {
            path.name: "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (rows,)
        },
        "tool": {"version": "0", "git_commit": None},
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "digest": "",
        "seal": "",
    }  # fmt: skip
    path = folder / "alignment_report.json"
    path.write_bytes(Report.model_validate(fields).sealed().to_bytes())
    return path


def run_record(*overrides: str, planned: int = 9, **fields: Any) -> RunRecord:
    """The record of a run of `round2-tiny` that has not begun, or with the fields given."""
    plan = Plan(
        recipe="round2-tiny", report="r", decision="PROCEED", corpus=2, training=1,
        training_audio=1.0, evaluation=["u1"], excluded=[], weighted=[], excluded_weight=0.0,
        refused=[], model="tiny", parameters=1, tokens=1, embeddings="untied", phases=[],
        steps=planned, device="cpu", arithmetic="float32", processes=1, sharding="none", memory=1,
        hours=None, cost=None,
    )  # fmt: skip
    phase0 = Phase0(
        decision="PROCEED", low_quality_percentage=0.0, mean_coverage=1.0, digest="sha256:0",
        dataset_fingerprint="sha256:1", artifact="a",
    )  # fmt: skip
    config = recipes.load("round2-tiny", overrides)[1]
    return RunRecord(recipe="round2-tiny", config=config, phase0=phase0, plan=plan, **fields)
