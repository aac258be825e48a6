"""The objective: sums, weights, and logits a chunk at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from asr_gate.corpus.read import read_corpus
from asr_gate.train import recipes
from asr_gate.train.authorise import authorise_training
from asr_gate.train.data.examples import Batch
from asr_gate.train.data.rows import Row
from asr_gate.train.distributed import Ranks
from asr_gate.train.families.qwen3_asr.build import build_random, tiny_config
from asr_gate.train.families.qwen3_asr.encoder import IGNORE, PromptEncoder, collate, supervised
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.loop.step import weighted_tokens
from asr_gate.train.model import token_losses
from asr_gate.train.prepare import build_model, prepare
from tests.train.support import utterance, write_report
from tests.train.trainings import SMALL, TWO_EPOCHS, content, losses, train

SHAPE = recipes.TinyModel(audio_layers=1, audio_width=16, text_layers=1, text_width=32)


@pytest.fixture
def inputs(processor, manifest: Path) -> dict[str, Tensor]:
    encoder = PromptEncoder(processor, recipes.Data())
    rows = [Row(one, one.duration or 0.0, "English") for one in read_corpus([manifest]).utterances]
    return collate([encoder.read(row) for row in rows[:5]], pad_id=encoder.pad_id).inputs


def objective(processor) -> TranscriptLoss:
    return TranscriptLoss(build_random(tiny_config(SHAPE, processor), untie=True, seed=1).train())


def plainly(model: nn.Module, inputs: dict[str, Tensor], row: int) -> tuple[float, int]:
    """Loss and tokens of one row of a batch, from logits of all positions."""
    rest = {name: tensor for name, tensor in inputs.items() if name != "labels"}
    logits = model(**rest, use_cache=False).logits[row, :-1].double()
    labels = inputs["labels"][row, 1:]
    summed = nn.functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    return float(summed), int((labels != IGNORE).sum())


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_chunks_change_neither_loss_nor_gradients(
    chunk: int, processor, inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, chunked = objective(processor), objective(processor)
    positions = int((inputs["labels"][:, 1:] != IGNORE).sum())
    monkeypatch.setattr(token_losses, "CHUNK", positions)
    reference = whole(**inputs)
    reference.backward()
    monkeypatch.setattr(token_losses, "CHUNK", chunk)
    found = chunked(**inputs)
    found.backward()
    torch.testing.assert_close(found, reference, rtol=1e-6, atol=0)
    for (name, one), other in zip(whole.named_parameters(), chunked.parameters(), strict=True):
        scale = float(one.grad.abs().max())
        assert scale > 0, name
        torch.testing.assert_close(other.grad, one.grad, rtol=0, atol=1e-6 * max(scale, 1))
    monkeypatch.setattr(token_losses, "CHUNK", chunk)
    with torch.no_grad():
        assert float(chunked.by_row(**inputs).sum()) == pytest.approx(float(found), rel=1e-6)


def test_no_logits_are_kept_where_there_are_several_chunks(
    processor, inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = objective(processor)
    positions = int((inputs["labels"][:, 1:] != IGNORE).sum())

    def most_kept(chunk: int) -> int:
        """Rows of the largest tensor of the vocabulary's width that waits for the way back."""
        monkeypatch.setattr(token_losses, "CHUNK", chunk)
        kept = [0]

        def watch(tensor: Tensor) -> Tensor:
            if tensor.shape[-1:] == (one.model.lm_head.out_features,):
                kept.append(len(tensor))
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(watch, lambda tensor: tensor):
            one(**inputs)
        return max(kept)

    assert most_kept(positions) == positions
    assert most_kept(positions - 1) == 0


def test_a_row_counts_by_its_weight(processor, inputs) -> None:
    one = objective(processor)
    weights = torch.tensor([1.0, 0.5, 0.25, 1.0, 0.125])
    with torch.no_grad():
        rows = [plainly(one.model, inputs, row) for row in range(5)]
        found = float(one(**inputs, weights=weights))
    losses, tokens = (torch.tensor(each, dtype=torch.float64) for each in zip(*rows, strict=True))
    assert found == pytest.approx(float(losses @ weights.double()), rel=1e-5)
    batch = Batch(
        [Row(utterance("u"), 1.0, "English", weight=float(one)) for one in weights],
        {},
        supervised(inputs["labels"]).tolist(),
        [],
    )
    assert weighted_tokens(batch) == float(tokens @ weights.double())


def test_losses_are_summed_in_float32_whatever_the_arithmetic(processor, inputs) -> None:
    one = objective(processor)
    weights = torch.full((5,), 0.3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = one(**inputs, weights=weights)
        rows = one.by_row(**inputs)
    assert found.dtype == rows.dtype == torch.float32
    assert float(found) == pytest.approx(0.3 * float(rows.double().sum()), rel=1e-5)


def test_silence_takes_part_and_changes_nothing(processor) -> None:
    """A process without rows meets the others in every layer."""
    one = objective(processor)
    quiet = PromptEncoder(processor, recipes.Data()).silence()
    found = one(**quiet.inputs, weights=torch.zeros(0))
    found.backward()
    assert not found.any()
    for name, parameter in one.model.named_parameters():
        assert parameter.grad is not None, name
        assert not parameter.grad.any(), name


EXCLUDED = ("u004", "u007")
"""None of them is held out."""


@pytest.fixture(scope="module")
def reports(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that excludes two rows, and one that excludes none."""
    folder = tmp_path_factory.mktemp("reports")
    return {
        "some": write_report(folder / "some", manifest, excluded=EXCLUDED),
        "none": write_report(folder / "none", manifest),
    }


def test_excluded_rows_count_by_their_weight(manifest: Path, reports) -> None:
    """With weight 1 they are like any other; with weight 0, the default, they do not train."""
    every = train(manifest, reports["none"], *TWO_EPOCHS)
    one = train(manifest, reports["some"], *TWO_EPOCHS, "data.excluded_weight=1")
    assert (one.plan.weighted, one.plan.excluded) == (list(EXCLUDED), [])
    assert one.plan.evaluation == every.plan.evaluation
    assert losses(one) == losses(every)
    none = train(manifest, reports["some"], *TWO_EPOCHS)
    assert (none.plan.weighted, none.plan.excluded) == ([], list(EXCLUDED))
    assert losses(none) != losses(every)


@pytest.mark.parametrize(
    "batching",
    [("data.batch_seconds=60",), ("data.batch_seconds=0.1", "optimizer.accumulate=100")],
)
def test_a_step_s_loss_is_the_mean_over_weighted_tokens(
    batching: tuple[str, ...], manifest: Path, reports
) -> None:
    plain = "data.learn_language=false"
    overrides = (*TWO_EPOCHS, "data.excluded_weight=0.5", plain, *batching)
    result = train(manifest, reports["some"], *overrides)
    told = content(result)
    assert told["plan"]["weighted"] == list(EXCLUDED)
    assert told["plan"]["excluded_weight"] == told["config"]["data"]["excluded_weight"] == 0.5

    settings = recipes.load("round2-tiny", [*SMALL, *overrides])[1]
    authorised = authorise_training(str(reports["some"]), [manifest])
    prepared = prepare("r", settings, authorised, Ranks())
    model = build_model(settings, prepared.source)
    encoder = prepared.encoder
    total = tokens = 0.0
    with torch.no_grad():
        for row in prepared.selection.training:
            batch = collate([encoder.read(row)], pad_id=encoder.pad_id)
            summed, count = plainly(model, batch.inputs, 0)
            weight = 0.5 if row.utterance.id in EXCLUDED else 1.0
            total += weight * summed
            tokens += weight * count
    assert losses(result)[0] == pytest.approx(total / tokens, rel=1e-5)
