"""Logs what a gate found to the tracker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr_gate.rounds.model_gate.result import GateResult
from asr_gate.rounds.model_gate.run import Gated
from asr_gate.tracking import Tracker
from asr_gate.train.evaluation.track_comparison import log_comparison
from asr_gate.train.record import logged_model


def gate_config(result: GateResult) -> dict[str, object]:
    """What the tracked run says of the gate."""
    return {
        "gate": {
            "outcome": result.outcome,
            "candidate": result.candidate.model_dump(),
            "baseline": result.baseline.model_dump(),
            "suite": result.suite,
            "suite_digest": result.suite_digest,
            "data_fingerprint": result.data.fingerprint,
            "seal": result.seal,
        }
    }


def log_gate(tracker: Tracker, gated: Gated, files: Sequence[Path]) -> None:
    """Log outcome, checks, pass rate, the comparison with its scatter plot, and the files.

    Args:
        tracker: its run has begun.
        gated: what was found.
        files: that were written.
    """
    result = gated.result
    outcomes = Counter(check.outcome for check in result.checks)
    metrics: dict[str, object] = {
        "gate/outcome": result.outcome,
        "gate/passed": int(result.outcome == "pass"),
        "gate/pass_rate": result.pass_rate,
    }
    for check in result.checks:
        if check.value is not None:
            metrics[f"gate/{check.group}/{check.name}"] = check.value
    tracker.log_metrics(metrics)
    columns = ["group", "name", "outcome", "value", "limit", "says"]
    rows = [[getattr(check, column) for column in columns] for check in result.checks]
    tracker.log_table("gate/checks", columns, rows)
    tracker.log_bars(
        "gate/outcomes", "Checks", list(outcomes), list(outcomes.values()), axis="checks"
    )
    log_comparison(tracker, [gated.comparison])
    for model in (result.candidate, result.baseline):
        if logged := logged_model(Path(model.checkpoint)):
            tracker.use_artifact(*logged)
    metadata = {"outcome": result.outcome, "digest": result.seal}
    tracker.log_artifact(list(files), "model-gate", "model-gate", metadata=metadata)
