"""`asr train`: from a report on the bundled corpus to a model, or to a refusal."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.train.observe.tracked_metrics import TrackedMetrics
from tests.e2e.asr import asr_here, asr_without, one_line, report_in
from tests.speech import BROKEN, PROCEED, STOP


@pytest.mark.parametrize("recipe", ["round2", "round2-tiny"])
def test_stop_refuses_before_torch_is_loaded(recipe: str, audited: Path) -> None:
    arguments = ("train", recipe, "--data", STOP, "--report", "reports/stop")
    done = asr_without({"torch", "transformers", "pyarrow", "wandb"}, *arguments, cwd=audited)
    assert done.returncode == 20, done.stderr
    line = one_line(done)
    assert "reports/stop" in line
    assert "% of the corpus is of low quality: above 15 %" in line


def test_the_latest_audit_decides_where_none_is_named(audited: Path) -> None:
    done = asr_here("train", "round2", "--data", STOP, cwd=audited)
    assert done.returncode == 20
    assert "reports/stop" in one_line(done)


def test_no_report_and_foreign_data_are_no_verdict(audited: Path, tmp_path: Path) -> None:
    none = asr_here("train", "round2-tiny", "--data", PROCEED, cwd=tmp_path)
    assert none.returncode == 30
    assert "asr audit" in one_line(none)
    foreign = asr_here(
        "train", "round2-tiny", "--data", STOP, "--report", "reports/proceed", cwd=audited
    )
    assert foreign.returncode == 30
    assert "made for other data" in one_line(foreign)


def test_an_altered_table_is_no_verdict(audited: Path, tmp_path: Path) -> None:
    shutil.copytree(audited / "reports" / "proceed", tmp_path / "reports" / "proceed")
    with (tmp_path / "reports" / "proceed" / "utterances.parquet").open("ab") as table:
        table.write(b"x")
    done = asr_here("train", "round2-tiny", "--data", PROCEED, cwd=tmp_path)
    assert done.returncode == 30
    assert "utterances.parquet: altered" in one_line(done)


def test_proceed_trains(audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole chain: the loss falls, a checkpoint loads, and the run says what it rests on."""
    monkeypatch.setattr(TrackedMetrics, "draw_curves", lambda *_: None)
    shutil.copytree(audited / "reports" / "proceed", tmp_path / "reports" / "proceed")
    done = asr_here(
        "train", "round2-tiny", "--data", PROCEED, "--no-wandb",
        "phases.0.epochs=[1]", "phases.1.epochs=[2]", "data.max_seconds=5", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    run = json.loads((tmp_path / "runs" / "round2-tiny" / "run.json").read_text())
    report = report_in(tmp_path / "reports" / "proceed")
    assert run["status"] == "finished"
    assert run["phase0"]["digest"] == report["digest"]
    assert run["phase0"]["dataset_fingerprint"] == report["dataset"]["fingerprint"]
    epochs = run["epochs"]
    assert [epoch["phase"] for epoch in epochs] == ["B", "A"]
    assert epochs[-1]["loss"] < 0.9 * epochs[0]["loss"]
    assert epochs[-1]["evaluation"]["loss"] < epochs[0]["evaluation"]["loss"]
    assert epochs[-1]["evaluation"]["wer"] > 0
    assert epochs[-1]["evaluation"]["cer"] > 0
    assert set(epochs[-1]["evaluation"]["domains"]) <= set(report["domain_statistics"])
    broken = [row for row, kind in BROKEN["proceed.jsonl"]["broken"].items() if "swap" in kind]
    assert set(run["plan"]["excluded"]) & set(broken)
    from transformers import AutoModelForMultimodalLM

    AutoModelForMultimodalLM.from_pretrained(tmp_path / "runs" / "round2-tiny" / "final")


def test_a_dry_run_shows_and_stops(audited: Path) -> None:
    done = asr_here(
        "train", "round2-tiny", "--data", PROCEED, "--report", "reports/proceed", "--dry-run",
        cwd=audited,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for word in ("projector", "audio_top", "untied", "PROCEED"):
        assert word in done.stdout
    assert not (audited / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["round3"], "round3"),
        (["round2-tiny", "optimiser.warmup=1"], "optimizer"),
        (["round2-tiny", "seed"], "seed"),
        (["round2-tiny", "--resume"], "resume"),
    ],
)
def test_mistakes_end_with_one_line(arguments: list[str], says: str, audited: Path) -> None:
    done = asr_here(
        "train", *arguments, "--data", PROCEED, "--report", "reports/proceed", cwd=audited
    )
    assert done.returncode == 2, done.stderr
    assert says in one_line(done)


def test_weights_that_are_not_here_are_one_line(audited: Path) -> None:
    done = asr_here(
        "train", "round2", "--data", PROCEED, "--report", "reports/proceed", cwd=audited
    )
    assert done.returncode == 2, done.stderr
    assert "Qwen/Qwen3-ASR-1.7B-hf" in one_line(done)


def test_ten_utterances_are_learnt_by_heart(
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The chain learns: real speech, both phases, and the model writes what it was shown."""
    rows = [json.loads(line) for line in PROCEED.read_text().splitlines()]
    chosen = [row for row in rows if row["id"].startswith("clean-0")][:12]
    for row in chosen:
        row["audio_filepath"] = str(PROCEED.parent / row["audio_filepath"])
    monkeypatch.setenv("ASR_AUDIO_ROOT", str(PROCEED.parent))
    manifest = tmp_path / "few.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    audited = asr_here("audit", manifest, "--all", "--controls", 0, "--no-wandb", cwd=tmp_path)
    assert audited.returncode == 0, audited.stderr
    epochs = ["phases.0.epochs=[1,2,3,4,5,6,7,8,9,10]", f"phases.1.epochs={[*range(11, 31)]}"]
    quick = ["evaluation.max_new_tokens=1", "checkpoints.keep=1"]
    monkeypatch.setattr(TrackedMetrics, "draw_curves", lambda *_: None)  # longer than an epoch
    began = time.monotonic()
    trained = asr_here(
        "train", "round2-tiny", "--data", manifest, "--accept-caution", "--no-wandb", *epochs,
        *quick, cwd=tmp_path,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    record_property("seconds to learn ten utterances by heart", round(time.monotonic() - began))
    told = json.loads((tmp_path / "runs" / "round2-tiny" / "run.json").read_text())
    seen = [row for row in chosen if row["id"] not in told["plan"]["evaluation"]]
    assert len(seen) >= 10
    manifest.write_text("".join(json.dumps(row) + "\n" for row in seen))
    done = asr_here("eval", "runs/round2-tiny/final", manifest, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["overall"]["wer"] < 0.1
    audio = [row["audio_filepath"] for row in seen]
    done = asr_here("transcribe", "runs/round2-tiny/final", *audio, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    heard = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["audio"] for one in heard] == audio
    # Nobody said the language: the tag is learnt like the text.
    languages = [one["language"] for file in heard for one in file["segments"]]
    assert languages.count("English") > len(languages) / 2
    right = sum(one["text"] == row["text"] for one, row in zip(heard, seen, strict=True))
    assert right > len(seen) / 2
