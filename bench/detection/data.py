"""The recordings: read, a few words each, some of them with hand-made word times."""

from __future__ import annotations

import json
from pathlib import Path

from asr_gate.corpus.read import read_corpus
from asr_gate.corpus.utterance import Seconds, Utterance

MIN_WORDS = 4
HAND_MADE = "timit_"
"""Ids of the rows whose word times were made by hand."""

HandMade = list[tuple[str, Seconds, Seconds]]


def utterances(manifest: Path, language: str = "en") -> list[Utterance]:
    """The rows of a language without digits and with a few words."""
    return [
        u
        for u in read_corpus([manifest]).utterances
        if u.lang == language
        and not any(c.isdigit() for c in u.text)
        and len(u.text.split()) >= MIN_WORDS
    ]


def speaker(identity: str) -> str:
    """Whose voice a row is, by its id: that of its recording, or of all rows of its source."""
    return identity.rpartition("_")[0]


def hand_times(manifest: Path, ids: str = HAND_MADE) -> dict[str, HandMade]:
    """Word, start and end by id, of the rows that have them and whose ids begin so."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return {
        row["id"]: [(w["word"], w["start"], w["end"]) for w in row["words"]]
        for row in rows
        if row["id"].startswith(ids) and row.get("words")
    }
