"""The rows that a model gets wrong most, for people to look at: some of them are wrong texts."""

from __future__ import annotations

from pathlib import Path

from asr_gate.audit.report.review_row import ToReview
from asr_gate.corpus.read import read_corpus
from asr_gate.train.evaluation.result_file import Transcript, read_result
from asr_gate.train.evaluation.scoring import count_errors


def worst_rows(path: Path) -> list[ToReview]:
    """The rows with errors, those with the highest word error rate first.

    Args:
        path: a result of `asr eval`, or its folder. The manifests that it names are read for the
            audio, from the current folder.

    Raises:
        UserError: the result or a manifest cannot be read.
    """
    result, transcripts = read_result(path)
    utterances = {u.id: u for u in read_corpus(result.manifests, split=result.split).utterances}

    def errors(one: Transcript) -> float:
        found = count_errors(one.reference, one.hypothesis, one.language, result.numbers)
        return found.word_errors / max(1, found.words)

    rates = {one.id: errors(one) for one in transcripts if one.id in utterances}
    rows = [one for one in transcripts if rates.get(one.id)]
    rows.sort(key=lambda one: (-rates[one.id], one.id))
    return [
        ToReview(
            id=one.id,
            origin=utterances[one.id].origin,
            audio=utterances[one.id].audio_name,
            offset=utterances[one.id].offset,
            duration=one.seconds,
            language=one.language,
            text=one.reference,
            proposed=one.hypothesis or None,
            confidence=None,
            codes=(f"WER {rates[one.id]:.2f}",),
            spans=(),
            source="evaluation",
        )
        for one in rows
    ]
