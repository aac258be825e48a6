"""Qwen3-ASR fine-tuning JSONL: `{"audio": "a.wav", "text": "language Hebrew<asr_text>…"}`.

The row's language stands before its transcript (https://github.com/QwenLM/Qwen3-ASR, finetuning).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from asr_gate.corpus.formats.format import Row, Source
from asr_gate.corpus.formats.nemo import Nemo
from asr_gate.corpus.text.language import language_code

_TAGGED = re.compile(r"language ([^<>\n]+)<asr_text>(.*)", re.DOTALL)


class Qwen3Asr(Nemo):
    """JSON lines that may have a language tag; a row without one is a NeMo row."""

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row a line; the tag is taken off the text and becomes `lang`."""
        return map(_untagged, super().rows(source, split))


def _untagged(row: Row) -> Row:
    text = row.fields.get("text")
    tagged = _TAGGED.fullmatch(text) if isinstance(text, str) else None
    if tagged is None:
        return row
    fields = {**row.fields, "text": tagged[2]}
    if tagged[1] != "None":  # the model's word for "no language given"
        fields["lang"] = language_code(tagged[1])
    return replace(row, fields=fields)
