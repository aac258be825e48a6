"""`asr audit` shows what it can see: on real speech, in noise, with models that hear nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import soundfile
import torch
import torchaudio

from asr_gate.corpus.cache import VARIABLE
from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.speech.audio import load
from tests.audit.acoustic.test_adapters import nemo_folder
from tests.e2e.asr import asr_here, report_in
from tests.speech import PROCEED, SHARED

MODEL = SHARED / "models" / "quartznet15x5-en"
SPEECH = SHARED / "speech" / "manifest.jsonl"

real = pytest.mark.skipif(
    not (MODEL.is_dir() and SPEECH.is_file()), reason="the real model and real speech are not here"
)


def english() -> list[dict[str, Any]]:
    """Rows of four words and more, without digits, the shortest first."""
    rows = [json.loads(line) for line in SPEECH.read_text(encoding="utf-8").splitlines()]
    return [
        {"audio_filepath": str(SPEECH.parent / r["audio_filepath"]), "text": r["text"]}
        for r in sorted(rows, key=lambda row: row["duration"])
        if r.get("lang") == "en"
        and not any(c.isdigit() for c in r["text"])
        and len(r["text"].split()) >= 4
        and r["duration"] < 20
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What one test has measured, another takes from the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "1")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit of real English speech with a real English model."""
    folder = tmp_path_factory.mktemp("heard")
    manifest = write(folder / "english.jsonl", english())
    done = asr_here(
        "audit", manifest, "--all", "--aligner", f"nemo:{MODEL}", "--no-wandb",
        "--audio-root", SPEECH.parent, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "reports" / "phase0"


@real
@pytest.mark.parametrize("kind", ["swapped", "inserted", "doubled", "removed", "cut"])
def test_a_model_of_the_language_finds_what_is_planted(kind: str, heard: Path) -> None:
    power = report_in(heard)["controls"][kind]
    assert power["n"] >= 70
    assert power["power"] >= 0.95
    assert not power["underpowered"]


@real
def test_a_model_of_the_language_condemns_few_right_transcripts(heard: Path) -> None:
    report = report_in(heard)
    assert report["decision"] == "PROCEED"
    assert report["controls"]["replaced"]["power"] >= 0.9
    for power in report["controls"].values():
        assert power["false_alarm_rate"] <= 0.06
    (figures,) = report["absolute_thresholds"].values()
    assert figures == ["confidence", "coverage"]
    assert report["aligner"]["delay_measured"]
    assert 0.1 < report["aligner"]["delay"] < 0.35
    words = pyarrow.parquet.read_table(heard / "words.parquet").to_pylist()
    assert np.mean([word["kept"] for word in words]) > 0.97
    assert np.mean([word["spoken"] > 0.5 for word in words]) > 0.97


@real
def test_single_digits_beside_sentences_are_not_judged(tmp_path: Path) -> None:
    sentences = [{**row, "domain": "sentences"} for row in english()[:50]]
    digits = [
        {"id": r["id"], "audio_filepath": str(SPEECH.parent / r["audio_filepath"]),
         "text": r["text"], "domain": "digits"}
        for r in map(json.loads, SPEECH.read_text(encoding="utf-8").splitlines())
        if r["id"].startswith("fsdd_")
    ]  # fmt: skip
    assert len(digits) == 30
    done = asr_here(
        "audit", write(tmp_path / "mixed.jsonl", sentences + digits), "--all",
        "--aligner", f"nemo:{MODEL}", "--no-wandb", "--audio-root", SPEECH.parent, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "reports" / "phase0"
    report = report_in(folder)
    assert report["decision"] == "CAUTION"
    assert report["domain_statistics"]["digits"]["cannot_tell"]
    assert report["domain_statistics"]["sentences"]["cannot_tell"] is None
    assert report["low_quality_percentage"] < 10
    assert "cannot tell" in done.stdout
    kept = [json.loads(line) for line in (folder / "clean.jsonl").read_text().splitlines()]
    assert sum(row["domain"] == "digits" for row in kept) == 30


@real
def test_in_loud_noise_there_is_no_verdict(tmp_path: Path) -> None:
    manifest = write(tmp_path / "clean.jsonl", english()[:24])
    torch.manual_seed(0)
    rows = []
    for n, row in enumerate(read_corpus([manifest], audio_root=SPEECH.parent).utterances):
        sound = torch.from_numpy(load(row, 16000).samples)
        noisy = torchaudio.functional.add_noise(sound, torch.randn_like(sound), torch.tensor(-10.0))
        path = tmp_path / f"{n}.flac"
        soundfile.write(path, (0.5 * noisy / noisy.abs().max()).numpy(), 16000)
        rows.append({"audio_filepath": path.name, "text": row.text})
    done = asr_here(
        "audit", write(tmp_path / "noisy.jsonl", rows), "--all", "--aligner", f"nemo:{MODEL}",
        "--no-wandb", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 30, done.stdout + done.stderr
    refused(tmp_path)


def refused(folder: Path) -> None:
    """The report says that nothing is known, and the gate refuses it."""
    report = report_in(folder / "reports" / "phase0")
    assert report["decision"] == "NO_VERDICT"
    assert "cannot tell right transcripts from wrong ones" in report["reasons"][0]
    assert report["controls"]["swapped"]["underpowered"]
    assert asr_here("gate", "reports/phase0", "--accept-caution", cwd=folder).returncode == 30


def test_a_model_that_learned_nothing_has_no_verdict(tmp_path: Path) -> None:
    model = nemo_folder(tmp_path / "model", 0)
    rows = [json.loads(line) for line in PROCEED.read_text(encoding="utf-8").splitlines()[:40]]
    for row in rows:
        row["audio_filepath"] = str(PROCEED.parent / row["audio_filepath"])
    done = asr_here(
        "audit", write(tmp_path / "forty.jsonl", rows), "--all", "--aligner", f"nemo:{model}",
        "--language", "en", "--no-wandb", "--audio-root", PROCEED.parent, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 30, done.stdout + done.stderr
    refused(tmp_path)
