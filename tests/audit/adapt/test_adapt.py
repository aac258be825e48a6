"""An adapted audit, with a fifth of the texts wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from asr_gate.audit.adapt import adapt
from asr_gate.audit.adapt.adapt import require_adaptable
from asr_gate.audit.pipeline import Settings, audit
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.report import Report
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.read import read_corpus
from tests.speech import EXAMPLE, PROCEED


class Silent:
    def say(self, line: str) -> None: ...
    def start(self, total: int, done: int) -> None: ...
    def advance(self, utterances: int, seconds: float) -> None: ...


def fifth_wrong(folder: Path) -> tuple[Path, set[str]]:
    """The bundled clean rows, a fifth of them with each other's texts, and the ids of these."""
    lines = [json.loads(line) for line in PROCEED.read_text().splitlines()]
    rows = [
        row | {"audio_filepath": str(EXAMPLE / row["audio_filepath"])}
        for row in lines
        if row["domain"] == "kan_clean" and row["duration"] < 8
    ]
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
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    manifest, wrong = fifth_wrong(tmp_path)

    def run(name: str, minutes: float | None) -> Report:
        settings = Settings(
            name=name,
            out=tmp_path,
            aligner="embedded",
            language="en",
            policy=load_policy(),
            fraction=1.0,
            seed=0,
            resume=False,
            device="cpu",
            batch_seconds=60.0,
            adapt=minutes,
        )
        corpus = read_corpus([manifest], audio_root=EXAMPLE)
        return audit(corpus, settings, Silent()).report

    def found(report: Report) -> set[str]:
        return {f.id for f in report.findings if f.code == "A008"} & wrong

    plain, adapted = run("plain", None), run("adapted", 0.1)
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


def test_other_aligners_do_not_adapt() -> None:
    class Other:
        class info:
            name = "hf:some"

    with pytest.raises(UserError, match="hf:some"):
        require_adaptable(Other())  # type: ignore[arg-type]
