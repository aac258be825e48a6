"""A corpus less some of its rows: as it came in, for `asr clean`, or as JSON lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from asr_gate.corpus.edit import Edits, Logs, Row, write_edited
from asr_gate.corpus.formats.format import Source
from asr_gate.corpus.formats.lines import json_bytes
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.rows import columns, places, with_ids
from asr_gate.corpus.storage import is_url
from asr_gate.corpus.utterance import DEFAULT_DOMAIN, Corpus


@dataclass(frozen=True, slots=True)
class Written:
    """One manifest that `asr clean` wrote."""

    manifest: str
    """The manifest that it was made from, as the user named it."""
    path: Path
    drop_log: Path
    """JSON lines: one for each dropped row, with the reason."""
    fix_log: Path | None
    """JSON lines: one for each corrected row, with its text before and after; None: there are none
    of them."""
    kept: int
    dropped: int
    fixed: int


def write_without(
    corpus: Corpus,
    dropped: Mapping[str, Mapping[str, Any]],
    *,
    texts: Mapping[str, str] | None = None,
    out: Path | None = None,
    audio_root: Path | None = None,
    split: str | None = None,
    labels: Sequence[LabelRule] = (),
) -> list[Written]:
    """Write the manifests of a corpus less some rows, each with a log of what was dropped.

    Args:
        corpus: as it was read.
        dropped: by the id of an utterance or a skipped row, its line of the drop log.
        texts: corrected transcripts by id.
        out: as for `write_edited`, and so are the others.

    Raises:
        UserError, OSError: as `write_edited`.
    """
    asked = texts or {}
    stay = with_ids(corpus.utterances, asked.keys() - dropped.keys())
    before = {id: row.text for id, row in stay.items()}
    changed = {id: text for id, text in asked.items() if before.get(id, text) != text}

    def logs(source: Source, target: Path, rows: Sequence[Row]) -> Logs:
        named = [{"id": row.id, "origin": row.origin} for row in rows]
        fixed = [
            {**row, "before": before[row["id"]], "after": changed[row["id"]]}
            for row in named
            if row["id"] in changed
        ]
        return {
            drop_log_of(target): [
                {**row, **dropped[row["id"]]} for row in named if row["id"] in dropped
            ],
            _fix_log_of(target): fixed or None,
        }

    placed = write_edited(
        corpus,
        Edits(dropped.keys(), changed),
        logs,
        about=dropped.keys() | changed.keys(),
        out=out,
        audio_root=audio_root,
        split=split,
        labels=labels,
    )
    written = []
    for one in placed:
        ids = {row.id for row in one.rows}
        gone, fixed = len(ids & dropped.keys()), len(ids & changed.keys())
        log = _fix_log_of(one.path) if fixed else None
        kept = one.count - gone
        written.append(
            Written(one.manifest, one.path, drop_log_of(one.path), log, kept, gone, fixed)
        )
    return written


def clean_jsonl(corpus: Corpus, dropped: Collection[str]) -> Iterator[bytes]:
    """A corpus less some rows as NeMo-style JSONL, wherever it lies: paths are absolute.

    `write_without` writes it in the format that came in.
    """
    names = "id", "text", "offset", "duration", "lang", "domain", "speaker", "split"
    audio = zip(places(corpus.utterances), columns(corpus.utterances, "audio_name"), strict=True)
    for (identity, text, offset, duration, lang, domain, speaker, split), (place, (name,)) in zip(
        columns(corpus.utterances, *names), audio, strict=True
    ):
        if identity in dropped:
            continue
        row = {
            "id": identity,
            "audio_filepath": _absolute(place) if isinstance(place, str) else name,
            "text": text,
            "offset": offset or None,
            "duration": duration,
            "lang": lang,
            "domain": domain if domain != DEFAULT_DOMAIN else None,
            "speaker": speaker,
            "split": split,
        }
        yield json_bytes({n: value for n, value in row.items() if value is not None}) + b"\n"


@lru_cache
def _absolute(place: str) -> str:
    return place if is_url(place) else str(Path(place).absolute())


def drop_log_of(target: Path) -> Path:
    """Where the dropped rows of a cleaned manifest are listed."""
    return target.with_name(f"{target.name}.dropped.jsonl")


def _fix_log_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.fixed.jsonl")
