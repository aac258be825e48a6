"""What `asr review` shows: the rows of a report, from its verified tables, or a blind sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_gate.audit.gate.admission import require_same_data
from asr_gate.audit.gate.read import NoVerdict
from asr_gate.audit.policy import load_policy
from asr_gate.audit.records.report import Report
from asr_gate.audit.report.next_steps import Data
from asr_gate.audit.review.apply import audited
from asr_gate.audit.review.page_file import content_of
from asr_gate.audit.review.sample import audited_rows, draw_blind
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.decoding import Expected
from asr_gate.corpus.text.plain import plain
from asr_gate.corpus.utterance import Corpus, Utterance


@dataclass(frozen=True)
class Shown:
    """Rows to be judged."""

    folder: Path
    """Of the audit."""
    digest: str
    """Of the audit, as verdicts name it."""
    title: str
    data: Mapping[str, Any]
    """For the page, without sounds and server."""
    blind: bool
    audio: Mapping[str, tuple[Utterance, Expected]]
    """Of the rows that the audit could decode: where their audio is, and what it must be."""


def shown(
    path: Path, corpus: Corpus, data: Data, *, sample: int | None = None, seed: int = 0
) -> Shown:
    """Make what is shown of a report.

    Args:
        path: `alignment_report.json`, or the folder of the audit.
        corpus: the audited one, as it is now.
        data: how it is named on a command line.
        sample: rows of a blind sample; None: the rows with findings, worst first.
        seed: of the blind sample.

    Raises:
        NoVerdict: the report or a table is missing or altered, or of other data.
        UserError: there is nothing to show.
    """
    found, before = audited(path)
    folder = found.path.parent
    now = require_same_data(before, str(path), corpus, folder)
    rows = found.arrow("utterances").to_pylist()
    try:
        if sample is None:
            content = content_of(found, data, load_policy().report.rows)
        else:
            content = _blind(before, rows, sample, f"{before.digest}:{seed}")
    except (KeyError, TypeError, ValueError) as error:  # the digests of a forged one may be right
        raise NoVerdict(f"{folder}: the tables are not those of an audit; audit again") from error
    if not content["rows"]:
        raise UserError(f"{path}: no row to review: nothing was found; draw some with --sample 50")
    decoded = {row["id"] for row in rows if row["duration"]}
    wanted = {row["id"] for row in content["rows"]} & decoded
    audio = {u.id: (u, (now.sounds[u.id], now.audio)) for u in corpus.utterances if u.id in wanted}
    about = plain(", ".join(before.dataset.manifests))
    title = f"Blind sample of {about}" if sample else f"{before.decision}: review of {about}"
    return Shown(folder, before.digest, title, content, sample is not None, audio)


def _blind(
    before: Report, rows: Sequence[Mapping[str, Any]], size: int, seed: str
) -> dict[str, Any]:
    """Rows in random order, without anything that the audit found."""
    by_id = {row["id"]: row for row in rows}
    sample = audited_rows(before, ((row["id"], row["domain"]) for row in rows))
    return {
        "blind": True,
        "digest": before.digest,
        "rows": [_unmarked(by_id[identity]) for identity in draw_blind(sample, size, seed)],
    }


def _unmarked(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "origin", "domain", "speaker", "split", "language")},
        "blind": True,
        "text": plain(row["text"]),
        "duration": round(row["duration"], 2),
        "activity": [[round(a, 2), round(b, 2)] for a, b in row["activity"] or ()],
        "excluded": False,
        **{name: [] for name in ("findings", "unaligned", "words", "gaps", "heard")},
    }
