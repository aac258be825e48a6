"""Running out of memory is one line, wherever it happens, and before the first step if it can."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from asr_gate.corpus.errors import UserError
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.loop import fit, trial
from asr_gate.train.model.memory import memory_explained
from asr_gate.train.run import TrainResult
from tests.train.trainings import TWO_EPOCHS, equal_weights, losses, train


def full(*arguments: object, **named: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def on_a_cpu() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def in_python() -> None:
    raise MemoryError


def in_a_library() -> None:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize("burst", [full, on_a_cpu, in_python, in_a_library])
def test_every_kind_is_one_line(burst: Callable[[], None]) -> None:
    said = r"^out of memory on a batch$"
    with pytest.raises(UserError, match=said), memory_explained(lambda: "on a batch"):
        burst()


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_explained(lambda: "on a batch"):
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("asr_gate.train.families.qwen3_asr.loss.TranscriptLoss.forward",
         r"in phase B, on a batch of \d rows, \d+ tokens, [\d.]+ s \(u.*"
         r"set phases\.0\.gradient_checkpointing=true, or lower data\.batch_tokens \(now 4096\)"),
        ("torch.Tensor.backward", r"lower data\.batch_tokens.*data\.batch_seconds \(now 6\)"),
        ("torch.optim.AdamW.step", "optimizer's step of phase B.*sharding=fsdp2"),
        ("transformers.Qwen3ASRForConditionalGeneration.generate",
         r"in the evaluation, on a batch of 2 rows.*evaluation\.max_new_tokens"),
        ("asr_gate.train.families.qwen3_asr.loss.TranscriptLoss.by_row",
         r"in the evaluation.*evaluation\.batch_seconds"),
    ],
)  # fmt: skip
def test_running_out_in_a_training_says_where_and_what_to_change(
    where: str, said: str, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, full)
    with pytest.raises(UserError, match=said) as error:
        train(manifest, report)
    assert "\n" not in str(error.value)


def test_checkpointing_is_not_advised_where_it_is_on(
    manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TranscriptLoss, "forward", full)
    with pytest.raises(UserError, match=r"\): lower data\.batch_tokens"):
        train(manifest, report, "phases.0.gradient_checkpointing=true")


def test_trying_the_largest_batches_changes_nothing(
    two_epochs: TrainResult, manifest: Path, report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, int]] = []
    real = trial.backward

    def watched(active, batches, *arguments, **named):
        tried.append((active.phase.name, len(batches[0].rows)))
        return real(active, batches, *arguments, **named)

    monkeypatch.setattr(trial, "backward", watched)
    monkeypatch.setattr(fit, "DEVICES", ("cpu",))
    again = train(manifest, report, *TWO_EPOCHS)
    assert {phase for phase, _ in tried} == {"A", "B"}
    assert losses(again) == losses(two_epochs)
    assert equal_weights(again, two_epochs)


def test_a_batch_of_a_later_phase_that_does_not_fit_ends_the_run_before_its_first_step(
    manifest: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TranscriptLoss.forward

    def tight(self, *arguments, **named):
        trains_the_tower = any(p.requires_grad for p in self.model.model.audio_tower.parameters())
        if trains_the_tower and named["input_ids"].numel() > 100:
            full()
        return real(self, *arguments, **named)

    monkeypatch.setattr(TranscriptLoss, "forward", tight)
    monkeypatch.setattr(fit, "DEVICES", ("cpu",))
    with pytest.raises(UserError, match=r"in phase A, on a batch.*phases\.1\.gradient_checkpoint"):
        train(manifest, report, out=tmp_path / "r")
    assert json.loads((tmp_path / "r" / "run.json").read_text())["steps"] == []


def test_the_largest_batches_are_by_tokens_and_by_seconds() -> None:
    rows = [
        Row(None, seconds, "English", tokens=tokens)  # type: ignore[arg-type]
        for seconds, tokens in ((1.0, 90), (1.0, 90), (9.0, 50), (1.0, 10))
    ]
    assert trial._largest(rows, [[[[0, 1], [2]], [[3]]]]) == [[0, 1], [2]]
    assert trial._largest(rows, [[[[0, 1], [3]]]]) == [[0, 1]]
