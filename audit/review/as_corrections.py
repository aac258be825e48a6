"""Corrections from every kind of file that people's work comes in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.audit.review.to_review import proposals
from asr_gate.audit.review.verdicts import Verdict, merge, read_verdicts
from asr_gate.corpus.corrections import Correction, bounded_lines, read_corrections
from asr_gate.corpus.label_studio import read_label_studio
from asr_gate.corpus.review_table import ACTIONS, read_table
from asr_gate.corpus.strict import parse_json

if TYPE_CHECKING:
    from asr_gate.audit.gate.tables import AuditReport


def read_work(
    files: Sequence[Path], report: str | None = None, texts: Mapping[str, str] | None = None
) -> list[Correction]:
    """The corrections of several files.

    A file of JSON lines holds corrections, or verdicts (`review.jsonl`); one of JSON is taken for
    Label Studio's export, one of CSV for the table of `asr corrections export`.

    Args:
        files: in the order in which they count.
        report: digest of the audit that verdicts must be about; None: any.
        texts: the texts that verdicts were given about, by id.

    Raises:
        UserError: a file cannot be read, or a line of it is none of these.
    """
    found: list[Correction] = []
    verdicts = []
    for path in files:
        ending = path.suffix.lower()
        if ending == ".csv":
            found += read_table(path)
        elif ending == ".json":
            found += read_label_studio(path)
        elif _holds_verdicts(path):
            verdicts.append(read_verdicts(path, report))
        else:
            found += read_corrections(path)
    judged = merge(verdicts).values()
    return found + from_verdicts((one for row in judged for one in row.verdicts), texts or {})


def from_verdicts(verdicts: Iterable[Verdict], texts: Mapping[str, str]) -> list[Correction]:
    """Verdicts as corrections; of those that decide nothing there are none.

    Args:
        verdicts: the last word of each person about each row.
        texts: the texts that were judged, by id.
    """
    found = []
    for one in verdicts:
        action = ACTIONS[one.verdict]
        if action is not None:
            found.append(
                Correction(
                    id=one.id,
                    action=action,
                    old_text=texts.get(one.id),
                    new_text=one.text,
                    start=one.start,
                    end=one.end,
                    who=one.who,
                    at=one.at,
                    why=": ".join(filter(None, [one.verdict, one.note]))[:20_000],
                    source="review",
                )
            )
    return found


def _holds_verdicts(path: Path) -> bool:
    for _, line in bounded_lines(path):
        try:
            first = parse_json(line)
        except ValueError:
            return False
        return isinstance(first, dict) and "verdict" in first
    return False


def from_proposals(
    report: AuditReport, codes: Collection[str], min_confidence: float
) -> list[Correction]:
    """The texts that an audit proposes, as corrections.

    Args:
        report: with its tables.
        codes: rules; a proposal that answers any other is left out.
        min_confidence: of a proposal, 0 to 1.

    Raises:
        NoVerdict: a table of the report is missing or was altered.
    """
    texts = {row["id"]: row["text"] for row in report.arrow("utterances").to_pylist()}
    return [
        Correction(
            id=id,
            action="text",
            old_text=texts[id],
            new_text=one.text,
            why=f"{', '.join(one.codes)}, confidence {one.confidence:.2f}",
            source="proposal",
        )
        for id, one in proposals(report).items()
        if one.confidence >= min_confidence and set(one.codes) <= set(codes)
    ]
