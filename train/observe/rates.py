"""What an evaluation is in numbers and in rows of a table, under the tracker's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asr_gate.corpus.utterance import Utterance
from asr_gate.tracking.clips import clip
from asr_gate.train.data.normalise import normalise
from asr_gate.train.evaluation.evaluate import EvaluationResult
from asr_gate.train.evaluation.scoring import error_types, perplexity
from asr_gate.train.loop.events import Milestone
from asr_gate.train.plan import TimeSpent


def evaluation_metrics(milestone: Milestone) -> dict[str, float]:
    """The rates of an evaluation, overall and by domain, under the tracker's names."""
    return {} if milestone.evaluation is None else rates_by_name("eval", milestone.evaluation)


def rates_by_name(group: str, result: EvaluationResult) -> dict[str, float]:
    """Loss and error rates, overall and by domain: `GROUP/wer`, `GROUP/DOMAIN/wer`, …"""
    metrics = {
        f"{group}/loss": result.loss,
        f"{group}/perplexity": perplexity(result.loss),
        f"{group}/wer": result.scores.wer,
        f"{group}/cer": result.scores.cer,
        f"{group}/unfinished": result.unfinished(),
    }
    types = error_types([one.errors for one in result.predictions])
    metrics |= {f"{group}/{name}": rate for name, rate in types.items()}
    for domain, scores in result.domains.items():
        metrics |= {f"{group}/{domain}/wer": scores.wer, f"{group}/{domain}/cer": scores.cer}
    return metrics


def time_metrics(time: TimeSpent) -> dict[str, float]:
    """The shares of a run's time under the tracker's names."""
    return {f"time/{kind}_share": share for kind, share in time.shares().items()}


def epoch_metrics(milestone: Milestone) -> dict[str, float]:
    """The summary of an epoch under the tracker's names."""
    metrics = {"epoch/train_loss": milestone.loss, "epoch/seconds": milestone.wall}
    if milestone.evaluation is not None:
        scores = milestone.evaluation.scores
        metrics |= {
            "epoch/eval_loss": milestone.evaluation.loss,
            "epoch/wer": scores.wer,
            "epoch/cer": scores.cer,
        }
    return {**metrics, "epoch": milestone.epoch}


def predictions(
    epoch: int, result: EvaluationResult, utterances: Mapping[str, Utterance] | None
) -> Iterator[dict[str, object]]:
    """Rows of the table of transcripts, as they are compared: without case and punctuation.

    Args:
        epoch: of the evaluation.
        result: whose transcripts they are.
        utterances: by id, whose audio stands beside the transcripts; None: no audio does.
    """
    for one in result.predictions:
        row: dict[str, object] = {
            "epoch": epoch,
            "id": one.id,
            "domain": one.domain,
            "wer": one.errors.word_errors / one.errors.words,
            "reference": normalise(one.reference, one.language, result.numbers),
            "hypothesis": normalise(one.hypothesis, one.language, result.numbers),
        }
        if utterances is not None:
            row["audio"] = clip(utterances[one.id]) if one.id in utterances else None
        yield row
