"""Measurements as bytes for the disk, and back."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asr_gate.audit.acoustic.interface import Emission
from asr_gate.audit.controls.measure import Known
from asr_gate.audit.records.alignment import AlignedWord, Gap, HeardWord
from asr_gate.audit.records.controls import Control
from asr_gate.audit.records.measured import Fault, Measured
from asr_gate.audit.records.pairing import OtherText
from asr_gate.corpus.speech.stored import Signal


def to_json(part: Any) -> dict[str, Any]:
    """A measurement or a part of one by its fields: the `default` of `json.dumps`.

    Every number comes back as it was. `asdict` takes ten times as long.
    """
    return {name: getattr(part, name) for name in part.__slots__}


def from_json(row: dict[str, Any]) -> Measured:
    """The measurement that was written with `to_json`; `row` is used up.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is something else.
    """
    fault, signal = row.pop("fault"), row.pop("signal")
    return Measured(
        **row
        | {
            "words": tuple(AlignedWord(**word) for word in row["words"]),
            "gaps": tuple(Gap(**gap) for gap in row["gaps"]),
            "controls": tuple(Control(**control) for control in row["controls"]),
            "activity": tuple((start, end) for start, end in row["activity"]),
            "heard": tuple(HeardWord(**word) for word in row["heard"]),
            "unaligned": tuple((start, end) for start, end in row["unaligned"]),
            "lags": tuple(row["lags"]),
            "others": tuple(OtherText(**text) for text in row["others"]),
        },
        fault=Fault(**fault) if fault else None,
        signal=Signal(**signal) if signal else None,
    )


@dataclass(frozen=True)
class Entry:
    """What is known of one transcript on one recording."""

    row: Measured
    """Without id, domain, language and text, cohort, controls and others, which are the audit's."""
    known: Known
    """What other texts showed on it."""

    def to_bytes(self) -> bytes:
        """For the cache."""
        row = replace(self.row, id="", domain="", lang=None, text="")
        row = replace(row, cohort_loss=None, controls=(), others=())
        return json.dumps({"row": row, "known": self.known}, default=to_json).encode()

    @staticmethod
    def from_bytes(content: bytes | None) -> Entry | None:
        """The entry that was kept; None: it is something else."""
        try:
            found = json.loads(content) if content else None
            return Entry(from_json(found["row"]), found["known"]) if found else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def emission_to_bytes(emission: Emission) -> bytes:
    """For the cache."""
    stream = io.BytesIO()
    np.save(stream, emission, allow_pickle=False)
    return stream.getvalue()


def emission_from_bytes(content: bytes | None, tokens: int) -> Emission | None:
    """The emission that was kept, of a model of so many tokens; None: it is something else."""
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False) if content else None
    except (ValueError, EOFError, OSError):
        return None
    if found is None or found.dtype != np.float32 or found.shape[1:] != (tokens,):
        return None
    return np.asarray(found)
