"""Qwen3-ASR fine-tuning JSONL: `{"audio": "a.wav", "text": "language Hebrew<asr_text>…"}`.

The row's language stands before its transcript (https://github.com/QwenLM/Qwen3-ASR, finetuning).
Rows without one are NeMo-style rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asr_gate.corpus.readers import nemo
from asr_gate.corpus.readers.row import Row
from asr_gate.corpus.text.language import language_code

_TAGGED = re.compile(r"language ([^<>\n]+)<asr_text>(.*)", re.DOTALL)


def rows(manifest: Path) -> Iterator[Row]:
    """Rows of a JSONL manifest; the language is taken off the text and becomes `lang`.

    Raises:
        UserError: the file cannot be read.
    """
    return map(_untagged, nemo.rows(manifest))


def _untagged(row: Row) -> Row:
    text = row.fields.get("text")
    tagged = _TAGGED.fullmatch(text) if isinstance(text, str) else None
    if tagged is None:
        return row
    fields = {**row.fields, "text": tagged[2]}
    if tagged[1] != "None":  # the model's word for a language that nobody named
        fields["lang"] = language_code(tagged[1])
    return replace(row, fields=fields)
