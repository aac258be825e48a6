"""Logs the result of `asr eval` to the tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_gate.tracking import Tracker
from asr_gate.tracking.datasets import use_dataset
from asr_gate.train.data.normalise import normalise
from asr_gate.train.evaluation.result_file import Result, Transcript, predictions_file
from asr_gate.train.evaluation.scoring import error_types, perplexity
from asr_gate.train.record import logged_model


def log_error_types(tracker: Tracker, types: Mapping[str, float], step: int | None = None) -> None:
    """Log the rates of `error_types` as bars; nothing if there is none."""
    if not types:
        return
    title, labels, rates = "Errors a word of the references", list(types), list(types.values())
    tracker.log_bars("charts/error_types", title, labels, rates, axis="rate", step=step)


def log_result(
    tracker: Tracker, result: Result, transcripts: Sequence[Transcript], path: Path
) -> None:
    """Log the result of `asr eval` at step 0.

    Args:
        tracker: its run has begun.
        result: of the evaluation.
        transcripts: of all evaluated rows.
        path: the result's file.
    """
    if not tracker.active:
        return
    metrics: dict[str, object] = {
        "eval/loss": result.overall.loss,
        "eval/perplexity": perplexity(result.overall.loss),
        "eval/wer": result.overall.wer,
        "eval/cer": result.overall.cer,
        "eval/unfinished": result.unfinished,
    }
    types = error_types([one.errors for one in transcripts if one.errors is not None])
    metrics |= {f"eval/{name}": rate for name, rate in types.items()}
    for name, rates in result.domains.items():
        metrics |= {f"eval/{name}/wer": rates.wer, f"eval/{name}/cer": rates.cer}
    tracker.log_metrics(metrics)
    log_error_types(tracker, types)
    tracker.log_predictions(
        {
            "id": one.id,
            "domain": one.domain,
            "reference": normalise(one.reference, one.language, result.numbers),
            "hypothesis": normalise(one.hypothesis, one.language, result.numbers),
        }
        for one in transcripts
    )
    if logged := logged_model(Path(result.checkpoint)):
        tracker.use_artifact(*logged)
    use_dataset(tracker, result.fingerprint)
    overall = result.overall
    metadata = {"checkpoint": result.checkpoint, "wer": overall.wer, "cer": overall.cer}
    files = [path, predictions_file(path)]
    tracker.log_artifact(files, "evaluation", "eval-result", metadata=metadata)
