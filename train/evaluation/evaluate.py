"""Loss, WER and CER of a model on rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.examples import Batch, Encoder
from asr_gate.train.data.rows import Row
from asr_gate.train.distributed import Ranks
from asr_gate.train.evaluation.reading import evaluation_batches, read_batches
from asr_gate.train.evaluation.scoring import Errors, Scores, count_errors, score
from asr_gate.train.families.interface import Family, Heard
from asr_gate.train.model.arithmetic import compute_type, not_compiled
from asr_gate.train.model.memory import memory_explained, sized
from asr_gate.train.plan import Refused
from asr_gate.train.recipes import Numbers
from asr_gate.train.record import EvaluationRates, Rates


class EvaluationStopped(Exception):
    """A process was asked to stop during the evaluation; all stop together."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's transcript of one row."""

    id: str
    domain: str
    language: str
    """Name in the prompt: `English`."""
    seconds: Seconds
    """Length of the audio."""
    reference: str
    hypothesis: str
    errors: Errors
    loss: float
    """In nats, summed over all tokens of the reference."""
    tokens: int
    """Tokens of the reference, the end token included."""
    finished: bool
    """Whether the model ended the transcript by itself, before it was cut off."""


@dataclass(frozen=True)
class EvaluationResult:
    """Results on all rows."""

    loss: float
    """In nats per token."""
    scores: Scores
    domains: dict[str, Scores]
    losses: dict[str, float]
    """In nats per token, by domain."""
    predictions: list[Prediction]
    refused: list[Refused]
    numbers: Numbers = "as_written"
    """How numbers were compared."""

    def rates(self) -> EvaluationRates:
        """The error rates, without the transcripts."""
        domains = {name: _rates(one, self.losses[name]) for name, one in self.domains.items()}
        overall = _rates(self.scores, self.loss)
        return EvaluationRates(
            **overall.model_dump(), domains=domains, unfinished=self.unfinished()
        )

    def unfinished(self) -> int:
        """How many transcripts were cut off."""
        return sum(not one.finished for one in self.predictions)


def evaluate(
    family: Family,
    model: nn.Module,
    encoder: Encoder,
    rows: Sequence[Row],
    *,
    batch_seconds: Seconds,
    most_tokens: Callable[[Row, int], int],
    device: torch.device,
    memory_advice: str,
    numbers: Numbers,
    workers: int = 0,
    ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    advance: Callable[[Sequence[Row]], None] = lambda rows: None,
    stop: Callable[[], bool] = lambda: False,
) -> EvaluationResult | None:
    """Transcribe and score rows; each process does a share, and all get the whole result.

    Args:
        family: of the model.
        model: on `device`.
        encoder: turns rows into tensors.
        rows: what is transcribed.
        batch_seconds: padded audio in one batch.
        most_tokens: from a row and the tokens of its reference, where its transcript is cut off.
        device: where the model is.
        memory_advice: what to change if a batch does not fit into memory.
        numbers: how numbers are compared.
        workers: processes that read audio for this one; 0: it reads by itself.
        ranks: this process among all that evaluate.
        advance: called after each batch, with its rows.
        stop: asked after each batch; must stay True once it was.

    Returns:
        None: no row could be read.

    Raises:
        EvaluationStopped: `stop` returned True, here or in another process.
        UserError: a batch does not fit into memory.
    """
    mine = evaluation_batches(rows, batch_seconds)[ranks.rank :: ranks.world]
    was_training = model.training
    model.eval()
    predictions: list[Prediction] = []
    refused: list[Refused] = []
    taken: list[Row] = []
    explained = memory_explained(lambda: f"in the evaluation, on {sized(taken)}: {memory_advice}")
    with torch.inference_mode(), compute_type(device), not_compiled(model), explained:
        for indices, batch in zip(mine, read_batches(rows, mine, encoder, workers), strict=True):
            taken = [rows[index] for index in indices]
            refused += batch.refused
            if batch.rows:
                limits = list(map(most_tokens, batch.rows, batch.targets))
                heard = family.score(model, encoder, batch, limits, device)
                predictions += _predictions(batch, heard, numbers)
            advance(taken)
            if stop():
                break
    model.train(was_training)
    # Together: whoever left alone would leave the others waiting for its predictions.
    if any(ranks.gathered(stop())):
        raise EvaluationStopped
    predictions = [one for some in ranks.gathered(predictions) for one in some]
    refused = [one for some in ranks.gathered(refused) for one in some]
    if not predictions:
        return None
    predictions.sort(key=lambda one: one.id)
    domains: dict[str, list[Prediction]] = {}
    for one in sorted(predictions, key=lambda one: one.domain):
        domains.setdefault(one.domain, []).append(one)
    return EvaluationResult(
        loss=_loss(predictions),
        scores=score([one.errors for one in predictions]),
        domains={name: score([one.errors for one in some]) for name, some in domains.items()},
        losses={name: _loss(some) for name, some in domains.items()},
        predictions=predictions,
        refused=refused,
        numbers=numbers,
    )


def _predictions(batch: Batch, heard: Sequence[Heard], numbers: Numbers) -> list[Prediction]:
    return [
        Prediction(
            id=row.utterance.id,
            domain=row.utterance.domain,
            language=row.language,
            seconds=row.seconds,
            reference=row.utterance.text,
            hypothesis=one.text,
            errors=count_errors(row.utterance.text, one.text, row.language, numbers),
            loss=one.loss,
            tokens=tokens,
            finished=one.finished,
        )
        for row, one, tokens in zip(batch.rows, heard, batch.targets, strict=True)
    ]


def _rates(scores: Scores, loss: float) -> Rates:
    return Rates(
        loss=loss, wer=scores.wer, cer=scores.cer, utterances=scores.utterances, words=scores.words
    )


def _loss(predictions: Sequence[Prediction]) -> float:
    """In nats per token."""
    return math.fsum(one.loss for one in predictions) / sum(one.tokens for one in predictions)
