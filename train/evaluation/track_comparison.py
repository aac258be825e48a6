"""Logs `asr eval compare` to the tracker."""

from __future__ import annotations

from collections.abc import Sequence

from asr_gate.tracking import Tracker
from asr_gate.train.evaluation.compare import Comparison, rows
from asr_gate.train.evaluation.compare_table import utterance_table

LARGEST = 10_000
"""Most utterances of the table and of the scatter plot; those whose WER rose most come first."""


def comparison_config(found: Sequence[Comparison]) -> dict[str, object]:
    """What the tracked run says of how it was compared."""
    first = found[0]
    return {
        "checkpoints": {"A": first.a} | {one.letter: one.b for one in found},
        "confidence": first.confidence,
        "seed": first.seed,
        "numbers": first.numbers,
        "outcomes": {one.letter: one.outcome for one in found},
    }


def log_comparison(tracker: Tracker, found: Sequence[Comparison]) -> None:
    """Log rates, changes, outcomes, bars, the scatter plot and the table of utterances.

    Args:
        tracker: its run has begun.
        found: comparisons with the same first side.
    """
    metrics: dict[str, object] = {}
    for one in found:
        x = one.letter
        for name, group in rows(one):
            metrics[f"compare/{name}/wer_A"] = group.wer.a
            metrics[f"compare/{name}/wer_{x}"] = group.wer.b
            metrics[f"compare/{name}/change_{x}"] = group.wer.difference
            if group.wer.low is not None and group.wer.high is not None:
                metrics[f"compare/{name}/low_{x}"] = group.wer.low
                metrics[f"compare/{name}/high_{x}"] = group.wer.high
        metrics[f"compare/outcome_{x}"] = one.outcome
        metrics[f"compare/passed_{x}"] = int(one.outcome == "pass")
    tracker.log_metrics(metrics)
    groups = [rows(one) for one in found]
    labels, values = [], []
    for number, (name, group) in enumerate(groups[0]):
        labels += [f"{name} {x}" for x in ("A", *(one.letter for one in found))]
        values += [group.wer.a, *(side[number][1].wer.b for side in groups)]
    tracker.log_bars("compare/wer", "WER by domain and round", labels, values, axis="WER")
    columns, lines = utterance_table(found)
    tracker.log_table("compare/utterances", columns, lines[:LARGEST])
    before = columns.index("WER A")
    for one in found:
        change = columns.index(f"change {one.letter}")
        tracker.log_points(
            f"compare/change_{one.letter}",
            f"Change of the WER of an utterance, {one.letter} - A",
            [(line[before], line[change]) for line in lines[:LARGEST]],
            axes=("WER A", "change"),
        )
