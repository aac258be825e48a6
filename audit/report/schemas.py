"""The columns of the tables that lie beside a report."""

from __future__ import annotations

import pyarrow as pa

SPANS = pa.list_(pa.list_(pa.float64(), 2))
"""Starts and ends in seconds."""

UTTERANCES = pa.schema(
    [
        ("id", pa.string()),
        ("domain", pa.string()),
        ("duration", pa.float64()),
        ("text", pa.string()),
        ("coverage", pa.float64()),
        ("text_coverage", pa.float64()),
        ("speech_coverage", pa.float64()),
        ("confidence", pa.float64()),
        ("quality", pa.float64()),
        ("length_mismatch", pa.bool_()),
        ("low_quality", pa.bool_()),
        ("rules", pa.list_(pa.string())),
        ("unknown_characters", pa.int64()),
        ("dropped_characters", pa.int64()),
        ("origin", pa.string()),
        ("speaker", pa.string()),
        ("split", pa.string()),
        ("language", pa.string()),
        ("audio", pa.string()),
        ("offset", pa.float64()),
        ("speech_seconds", pa.float64()),
        ("speech_to_noise", pa.float64()),
        ("bandwidth", pa.float64()),
        ("activity", SPANS),
        ("unaligned", SPANS),
    ]
)

WORDS = pa.schema(
    [
        ("id", pa.string()),
        ("index", pa.int64()),
        ("word", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("confidence", pa.float64()),
        ("spoken", pa.float64()),
        ("replaced", pa.float64()),
        ("kept", pa.bool_()),
    ]
)


GAPS = pa.schema(
    [
        ("id", pa.string()),
        ("index", pa.int64()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("untranscribed", pa.float64()),
    ]
)

HEARD = pa.schema(
    [
        ("id", pa.string()),
        ("index", pa.int64()),
        ("word", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
    ]
)

SCHEMAS = {"utterances": UTTERANCES, "words": WORDS, "gaps": GAPS, "heard": HEARD}
