"""An adapted audit, with a fifth of the texts wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch

from asr_gate.audit.adapt import adapt
from asr_gate.audit.adapt.adapt import require_adaptable
from asr_gate.audit.pipeline import Settings, audit
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.report import Report
from asr_gate.corpus.cache import VARIABLE
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from asr_gate.embedded.adapt import Lesson
from asr_gate.embedded.network import EmbeddedNet
from asr_gate.embedded.training import TrainedNet, trainable
from tests.speech import EXAMPLE, PROCEED


class Silent:
    def say(self, line: str) -> None: ...
    def start(self, total: int, done: int) -> None: ...
    def advance(self, utterances: int, seconds: float) -> None: ...


class Killed(Silent):
    """Ends the audit when a pass over the rows, counted from 0, has measured its first rows."""

    def __init__(self, at: int) -> None:
        self._passes = -1
        self._at = at

    def start(self, total: int, done: int) -> None:
        self._passes += 1

    def advance(self, utterances: int, seconds: float) -> None:
        if self._passes == self._at:
            raise SystemExit


def audited(
    manifest: Path,
    out: Path,
    minutes: float | None,
    *,
    resume: bool = False,
    progress: Silent | None = None,
    controls: int | None = None,
) -> Report:
    settings = Settings(
        name=out.name,
        out=out.parent,
        aligner="embedded",
        language="en",
        policy=load_policy().with_controls(controls),
        fraction=1.0,
        seed=0,
        resume=resume,
        device="cpu",
        batch_seconds=60.0,
        cache=True,
        adapt=minutes,
    )
    corpus = read_corpus([manifest], audio_root=EXAMPLE)
    return audit(corpus, settings, progress or Silent()).report


def fifth_wrong(folder: Path, most: int = 99) -> tuple[Path, set[str]]:
    """The bundled clean rows, a fifth of them with each other's texts, and the ids of these."""
    lines = [json.loads(line) for line in PROCEED.read_text().splitlines()]
    rows = [
        row | {"audio_filepath": str(EXAMPLE / row["audio_filepath"])}
        for row in lines
        if row["domain"] == "kan_clean" and row["duration"] < 8
    ][-most:]
    chosen = rows[: len(rows) // 5]
    texts = [row["text"] for row in chosen]
    for row, text in zip(chosen, [*texts[1:], texts[0]], strict=True):
        row["text"] = text
    manifest = folder / "wrong.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest, {row["id"] for row in chosen}


@pytest.mark.slow
def test_wrong_texts_are_found_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapt, "FEWEST_ROWS", 5)
    monkeypatch.setenv(VARIABLE, "1")  # the plain audit is the first pass of the adapted one
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    manifest, wrong = fifth_wrong(tmp_path)

    def found(report: Report) -> set[str]:
        return {f.id for f in report.findings if f.code == "A008"} & wrong

    plain = audited(manifest, tmp_path / "plain", None)
    adapted = audited(manifest, tmp_path / "adapted", 0.1)
    assert plain.adaptation is None
    assert len(found(plain)) > len(wrong) / 2
    assert found(adapted) >= found(plain)
    one = adapted.adaptation
    assert one is not None
    assert (one.by, len(one.folds)) == ("speaker", 3)
    assert sum(fold.rows for fold in one.folds) == adapted.total_samples
    assert {fold.weights_sha256 for fold in one.folds}.isdisjoint({adapted.aligner.weights_sha256})
    assert one.before["swapped"] == plain.controls["swapped"]
    assert one.trusted <= adapted.total_samples - len(found(plain))
    table = pyarrow.parquet.read_table(tmp_path / "adapted" / "utterances.parquet")
    assert set(table.column("fold").to_pylist()) == {0, 1, 2}
    assert not list((tmp_path / "state").rglob("model.onnx")), "what was trained is removed"


def test_a_killed_audit_goes_on_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def biased(net: EmbeddedNet, lessons: Sequence[Lesson], *, seed: int, **_: Any) -> TrainedNet:
        """In place of a training: what follows from the lessons and the seed."""
        trained.append(seed)
        if killed and len(trained) == 2:
            raise SystemExit
        found = trainable(net)
        with torch.no_grad():
            found.output.bias[0] += 0.01 * seed + 0.001 * len(lessons)
        return found.eval()

    killed: list[bool] = []
    monkeypatch.setattr("asr_gate.embedded.adapt.fine_tune", biased)
    monkeypatch.setattr(adapt, "FEWEST_ROWS", 2)
    monkeypatch.setattr(adapt, "usable_cores", lambda: 1)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    manifest, _ = fifth_wrong(tmp_path, most=9)
    whole = audited(manifest, tmp_path / "whole", 0.1, controls=1)
    assert sorted(trained) == [0, 1, 2]

    out = tmp_path / "parts"
    trained.clear()
    killed.append(True)
    with pytest.raises(SystemExit):  # in the training of the second fold
        audited(manifest, out, 0.1, controls=1)
    with pytest.raises(SystemExit):  # in the second pass, at the first fold
        audited(manifest, out, 0.1, controls=1, resume=True, progress=Killed(1))
    assert sorted(trained) == [0, 1, 1, 2], "what is trained is kept"
    parts = audited(manifest, out, 0.1, controls=1, resume=True)
    assert len(trained) == 4
    own = {"created_at", "digest", "seal", "tables"}
    assert parts.model_dump(exclude=own) == whole.model_dump(exclude=own)


def test_other_aligners_do_not_adapt() -> None:
    class Other:
        class info:
            name = "hf:some"

    with pytest.raises(UserError, match="hf:some"):
        require_adaptable(Other())  # type: ignore[arg-type]
