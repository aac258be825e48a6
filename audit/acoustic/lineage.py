"""Which run of `asr train` made a model, by the record beside it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from asr_gate.audit.records.report import Lineage
from asr_gate.corpus.files import RECORD_LIMIT
from asr_gate.corpus.heard import Heard, read_heard
from asr_gate.corpus.strict import read_json

RUN_FILE = "run.json"


def heard(folder: Path) -> Heard | None:
    """What a checkpoint learned from, as the folder above it says; None: it says nothing.

    Args:
        folder: of the model, `runs/NAME/final`; links are followed.
    """
    return read_heard(folder.resolve().parent)


def lineage(folder: Path) -> Lineage | None:
    """What the `run.json` in the folder above a checkpoint says; None: there is none to read.

    Args:
        folder: of the model, `runs/NAME/final`; links are followed.
    """
    try:
        record = read_json(folder.resolve().parent / RUN_FILE, RECORD_LIMIT)
        return Lineage(
            recipe=record["recipe"],
            dataset=record["phase0"]["dataset_fingerprint"],
            report=record["phase0"]["digest"],
            began_with=record["plan"]["model"],
        )
    except (OSError, ValueError, ValidationError, KeyError, TypeError):
        return None
