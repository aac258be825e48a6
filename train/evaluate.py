"""Loss, WER and CER of a model on held-out rows, by greedy generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen3ASRForConditionalGeneration

from corpus.utterance import Seconds
from train.data import Refused, Row, batches
from train.examples import Encoder, collate
from train.loss import TranscriptLoss, compute_type, supervised_tokens
from train.scoring import Scores, score, score_by_domain


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model wrote for one row."""

    id: str
    domain: str
    reference: str
    hypothesis: str


@dataclass(frozen=True)
class EvaluationResult:
    """One pass over the held-out rows."""

    loss: float
    """Nats a token."""
    scores: Scores
    domains: dict[str, Scores]
    predictions: list[Prediction]
    refused: list[Refused]

    def as_dict(self) -> dict[str, Any]:
        """For `run.json`."""
        return {
            "loss": self.loss,
            **self.scores.as_dict(),
            "domains": {name: scores.as_dict() for name, scores in self.domains.items()},
        }


def evaluate(
    model: Qwen3ASRForConditionalGeneration,
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    batch_seconds: Seconds,
    max_new_tokens: int,
    device: torch.device,
    advance: Callable[[], None] = lambda: None,
) -> EvaluationResult | None:
    """Transcribe and score; `advance` is called after each batch. None: no row could be read."""
    was_training = model.training
    model.eval()
    objective = TranscriptLoss(model)
    total = 0.0
    tokens = 0
    predictions: list[Prediction] = []
    refused: list[Refused] = []
    with torch.inference_mode(), compute_type(device):
        for indices in batches(rows, batch_seconds, seed=0, epoch=0):
            items = [encoder.read(rows[index]) for index in indices]
            batch = collate(items, pad_id=encoder.pad_id)
            refused += batch.refused
            if batch.rows:
                inputs = {name: tensor.to(device) for name, tensor in batch.inputs.items()}
                total += float(objective(**inputs))
                tokens += supervised_tokens(batch.inputs["labels"])
                prompts = collate(items, pad_id=encoder.pad_id, side="left", targets=False)
                inputs = {name: tensor.to(device) for name, tensor in prompts.inputs.items()}
                written = model.generate(
                    **inputs,
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    pad_token_id=encoder.pad_id,
                    eos_token_id=encoder.end_id,
                )
                texts = encoder.processor.tokenizer.batch_decode(
                    written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
                )
                predictions += [
                    Prediction(
                        row.utterance.id, row.utterance.domain, row.utterance.text, text.strip()
                    )
                    for row, text in zip(batch.rows, texts, strict=True)
                ]
            advance()
    model.train(was_training)
    if not predictions:
        return None
    references = [one.reference for one in predictions]
    hypotheses = [one.hypothesis for one in predictions]
    return EvaluationResult(
        loss=total / tokens,
        scores=score(references, hypotheses),
        domains=score_by_domain(references, hypotheses, [one.domain for one in predictions]),
        predictions=sorted(predictions, key=lambda one: one.id),
        refused=refused,
    )
