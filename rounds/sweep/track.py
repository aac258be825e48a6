"""Logs a sweep that has ended to the tracker, in the group of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_gate.rounds.sweep.report import columns, importances, table
from asr_gate.rounds.sweep.sweep import Sweep
from asr_gate.tracking import Tracker


def log_sweep(tracker: Tracker, sweep: Sweep, files: Sequence[Path]) -> None:
    """Log the table of trials, the importances, the confirmation, and the files of the report.

    Args:
        tracker: its run has begun.
        sweep: has at least one trial that was trained to its end.
        files: of the report.
    """
    status, best = sweep.status(), sweep.best()
    metrics: dict[str, object] = {
        "sweep/best": best.objective,
        "sweep/best_trial": best.trial,
        "sweep/adopted": int(best.adopted),
    }
    if (found := best.confirmation) is not None:
        metrics |= {"sweep/confirmed_wer": found.wer, "sweep/recipe_wer": found.recipe_wer}
    tracker.log_metrics(metrics)
    tracker.log_table("sweep/trials", columns(status), table(status))
    shares = importances(sweep.trials.study)
    if shares:
        names, values = list(shares), list(shares.values())
        tracker.log_bars("sweep/importances", "Importances", names, values, axis="importance")
    logged = [*files, best.recipe]
    metadata = {"trial": best.trial, "adopted": best.adopted}
    tracker.log_artifact(logged, "sweep", f"sweep-{sweep.name}", metadata=metadata)
