"""Versions of datasets in W&B: logged once, and inputs of the runs that use them."""

from __future__ import annotations

from asr_gate.corpus.datasets import (
    DATASETS,
    DatasetVersion,
    LoggedDataset,
    logged_dataset,
    note_logged,
)
from asr_gate.tracking.tracker import Tracker


def log_dataset(tracker: Tracker, one: DatasetVersion) -> None:
    """Log a version as an artifact of type `dataset`, with its sizes; the run has begun."""
    metrics: dict[str, object] = {"dataset/rows": one.rows, "dataset/skipped": one.skipped}
    if one.hours is not None:
        metrics["dataset/hours"] = one.hours
    for part, counts in (("split", one.splits), ("domain", one.domains), ("errors", one.errors)):
        metrics |= {f"dataset/{part}/{name}": count for name, count in counts.items()}
    tracker.log_metrics(metrics)
    tracker.log_bars(
        "dataset/splits", "Rows by split", list(one.splits), list(one.splits.values()), axis="rows"
    )
    reference = tracker.log_artifact(
        DATASETS / one.name / one.file,
        "dataset",
        f"dataset-{one.name}",
        aliases=[f"version-{one.number}"],
        metadata={"digest": one.fingerprint, "rows": one.rows, "splits": one.splits},
    )
    if reference:
        note_logged(one, LoggedDataset(reference, tracker.digest_of(reference)))


def use_dataset(tracker: Tracker, fingerprint: str | None) -> None:
    """Make the logged version with this fingerprint an input of the run; none: nothing happens."""
    if fingerprint is None or not tracker.active:
        return
    if logged := logged_dataset(fingerprint):
        tracker.use_artifact(logged.artifact, logged.digest)
