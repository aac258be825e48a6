"""How long a run took to come down to a WER that was asked for."""

from __future__ import annotations

from asr_gate.train.record import RunRecord, TargetReached


def target_reached(record: RunRecord, target: float | None) -> TargetReached | None:
    """What the run has spent, if its last evaluation is the first at the target or below.

    Args:
        record: whose last evaluation has just been made.
        target: a WER, as a share; None: none was asked for.

    Returns:
        What the record says already, if an earlier evaluation was. None: none was.
    """
    if record.target is not None or target is None:
        return record.target
    last = record.evaluations[-1]
    if last.evaluation is None or last.evaluation.wer > target:
        return None
    return TargetReached(
        target_wer=target,
        wer=last.evaluation.wer,
        step=last.steps,
        epoch=last.epoch,
        hours=record.progress.seconds / 3600,
        audio_hours=record.progress.audio / 3600,
    )


def target_in_words(record: RunRecord) -> str:
    """Whether the target of the record's recipe was reached, and after how much."""
    reached, best = record.target, record.best_wer()
    if reached is not None:
        return (
            f"target WER {100 * reached.target_wer:g} %: reached in epoch {reached.epoch} after "
            f"step {reached.step}, {reached.hours:.2f} h and {reached.audio_hours:.2f} h of audio "
            f"(WER {100 * reached.wer:.1f} %)"
        )
    target = record.config.evaluation.target_wer or 0
    lowest = "nothing was evaluated" if best is None else f"the lowest was {100 * best:.1f} %"
    return f"target WER {100 * target:g} %: not reached; {lowest}"
