"""Versions of a dataset, with the errors that models are known to make in its rows."""

from __future__ import annotations

from pathlib import Path

from asr_gate.corpus.datasets import DatasetVersion, add_version, logged_dataset
from asr_gate.corpus.utterance import Corpus
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.tracking import Tracker
from asr_gate.tracking.datasets import log_dataset


def note_dataset(
    name: str, corpus: Corpus, cases: Path, tracker: Tracker
) -> tuple[DatasetVersion, bool]:
    """Note what a dataset is now, and log it if it was not logged.

    Args:
        name: of the dataset.
        corpus: all its rows.
        cases: file of the cases whose errors are counted, where it is there.
        tracker: of a run that has not begun.

    Returns:
        The version, and whether it is new.

    Raises:
        UserError: as `add_version` and `CaseStore`; or the version cannot be logged.
    """
    rows = {row.id for row in corpus.utterances}
    errors = CaseStore(cases).count_kinds_of(rows) if cases.exists() else {}
    made, new = add_version(name, corpus, {str(kind): count for kind, count in errors.items()})
    if new or logged_dataset(made.fingerprint) is None:
        with tracker:
            tracker.init(config={"dataset": made.model_dump()})
            log_dataset(tracker, made)
    return made, new
