"""What `report.html` shows, as plain data: made from the report and the tables that it vouches for.

Nothing in it is markup: the page puts every string in as text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asr_gate.audit.records.causes import cause_of, strongest_first
from asr_gate.audit.records.controls import LIKELY
from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report, Review
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.headline import opinion, sentence
from asr_gate.audit.report.next_steps import Data, correct_command, next_commands
from asr_gate.audit.report.propose import propose
from asr_gate.corpus.text.plain import plain

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]

BINS = 20
MEASURES = {
    "coverage": "Coverage, 0 to 1",
    "confidence": "Confidence, 0 to 1",
    "quality": "Quality, 0 to 1",
    "duration": "Length, seconds",
    "rate": "Letters a second of speech",
    "speech_to_noise": "Speech over noise, dB",
    "bandwidth": "Bandwidth, Hz",
}
"""What is drawn as a histogram, and its name."""


def page_data(
    report: Report,
    tables: Mapping[str, pa.Table],
    folder: Path,
    data: Data,
    limit: int,
) -> dict[str, Any]:
    """Everything on the page but the audio.

    Args:
        report: the report.
        tables: `utterances`, `words`, `gaps` and `heard` beside it.
        folder: of the audit.
        data: what was audited.
        limit: most rows in the list.
    """
    utterances = tables["utterances"].to_pylist()
    by_id: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_id.setdefault(finding.id, []).append(finding)
    known = {row["id"]: row for row in utterances}
    order = sorted(by_id, key=lambda id: _worst_first(by_id[id], known.get(id)))
    shown = order[:limit]
    chosen = set(shown)
    parts = [_grouped(tables[name], chosen) for name in ("words", "gaps", "heard")]
    rules = catalogue()
    codes = {finding.code for finding in report.findings}
    may_say: dict[str, Sequence[str]] = {one.id: one.candidates for one in report.pairing.unsure}
    may_say |= {one.id: [one.text_of] for one in report.pairing.found}
    return {
        "digest": report.audit_digest,
        "decision": report.decision,
        "recommendation": report.recommendation,
        "reasons": report.reasons,
        "headline": sentence(report),
        "estimate": report.estimate.model_dump(),
        "limits": {
            name: report.policy.get("decision", {}).get(name)
            for name in ("proceed_below", "stop_above")
        },
        "domains": {k: v.model_dump() for k, v in report.domain_statistics.items()},
        "splits": {k: v.model_dump() for k, v in report.split_statistics.items()},
        "controls": {k: v.model_dump() for k, v in report.controls.items()},
        "rules": {
            code: {
                "name": rule.name,
                "summary": rule.summary,
                "fix": rule.fix,
                "rows": report.rules.get(code, 0),
            }
            for code, rule in rules.items()
            if code in codes
        },
        "next": [list(pair) for pair in next_commands(report, folder, data)],
        "correct": correct_command(folder, data),
        "review": _review(report.review),
        "pairing": _pairing(report, limit),
        "histograms": [one for name in MEASURES if (one := _histogram(name, utterances))],
        "skipped": [one.model_dump() for one in report.skipped],
        "about": {
            "data": ", ".join(report.dataset.manifests),
            "fingerprint": report.dataset.fingerprint,
            "utterances": report.dataset.utterances,
            "sampled": report.total_samples,
            "hours": report.dataset.hours,
            "aligner": f"{report.aligner.name}, language {report.aligner.language}",
            "made": f"{report.created_at} by asr-gate {report.tool.version}",
        }
        | ({"second opinion": line} if (line := opinion(report)) else {}),
        "hidden": len(order) - len(shown),
        "rows": [
            _row(id, by_id[id], known.get(id), *(part.get(id, []) for part in parts))
            | _people(report.review, id)
            | _candidates(may_say.get(id, ()), known)
            for id in shown
        ],
    }


def _pairing(report: Report, limit: int) -> dict[str, Any] | None:
    """Rows against the rows whose text they say; of many, as many as the list holds."""
    found = report.pairing.found
    if not found:
        return None
    placed = [one for one in found if one.text_row is not None]
    points = [[one.row, one.text_row, one.id, one.text_of] for one in placed]
    return {
        "found": len(found),
        "rows": max([report.dataset.utterances, *(one.text_row or 0 for one in placed)]),
        "points": points[:: max(1, -(-len(points) // limit))],
    }


def _review(review: Review | None) -> dict[str, Any] | None:
    """What people said, as a whole."""
    if review is None:
        return None
    found = review.model_dump(exclude={"right", "wrong", "conflicts", "verdicts", "method"})
    return found | {
        "right": len(review.right),
        "wrong": len(review.wrong),
        "conflicts": len(review.conflicts),
    }


def _people(review: Review | None, id: str) -> dict[str, Any]:
    """What people said of a row; of a wrong one a finding says it."""
    if review is not None and id in review.conflicts:
        return {"people": "People disagree on it.", "conflict": True}
    if review is not None and id in review.right:
        who = review.right[id]
        return {"people": f"People call it right{f': {plain(who)}' if who else ''}."}
    return {}


def _candidates(rows: Sequence[str], known: Mapping[str, Row]) -> dict[str, Any]:
    """Texts of other rows that a row may say: whose they are, and the text where it was heard."""
    if not rows:
        return {}
    texts = (known[row]["text"] if row in known else None for row in rows)
    return {"candidates": [[row, t and plain(t)] for row, t in zip(rows, texts, strict=True)]}


def _worst_first(findings: Sequence[Finding], row: Row | None) -> tuple[object, ...]:
    """Excluded rows first, then by quality; rows that nobody aligned last of their kind."""
    quality = 1.0 if row is None else row["quality"]
    return (
        not any(map(excludes, findings)),
        not any(finding.counts for finding in findings),
        quality,
        findings[0].id,
    )


def _grouped(table: pa.Table, ids: Collection[str]) -> dict[str, list[Row]]:
    """The rows of these utterances; of the others, most of a large table, no object is made."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[str, list[Row]] = {}
    wanted = pc.is_in(table["id"], value_set=pa.array(sorted(ids), pa.string()))
    for row in table.filter(wanted).to_pylist():
        found.setdefault(row["id"], []).append(row)
    return found


def _row(
    id: str,
    findings: Sequence[Finding],
    row: Row | None,
    words: Sequence[Row],
    gaps: Sequence[Row],
    heard: Sequence[Row],
) -> dict[str, Any]:
    """One row of the list; `row` is None where it was not in the sample."""
    ordered = strongest_first(findings)
    first = ordered[0]
    shown: dict[str, Any] = {
        "id": id,
        "origin": first.origin,
        "domain": first.domain,
        "speaker": first.speaker,
        "split": first.split,
        "cause": cause_of(first.code).name,
        "excluded": any(map(excludes, findings)),
        "findings": [
            [f.code, f.severity if f.counts else "not counted", f.message, f.start, f.end]
            for f in ordered
        ],
    }
    if row is None:
        return shown
    proposal = propose(row["text"], words, gaps, heard, findings)
    if proposal is not None:
        shown["proposed"] = plain(proposal.text)
        shown["proposed_confidence"] = _seconds(proposal.confidence)
        shown["changes"] = _changes(plain(row["text"]), shown["proposed"])
    return shown | {
        "text": plain(row["text"]),
        "language": row["language"],
        "duration": _seconds(row["duration"]),
        "quality": _seconds(row["quality"]),
        "coverage": _seconds(row["coverage"]),
        "confidence": _seconds(row["confidence"]),
        "noise": row["speech_to_noise"],
        "bandwidth": row["bandwidth"],
        "activity": [[_seconds(a), _seconds(b)] for a, b in row["activity"]],
        "unaligned": [[_seconds(a), _seconds(b)] for a, b in row["unaligned"]],
        "words": [
            [plain(w["word"]), _seconds(w["start"]), _seconds(w["end"]), _state(w)] for w in words
        ],
        "gaps": [
            [_seconds(gap["start"]), _seconds(gap["end"])]
            for gap in gaps
            if gap["untranscribed"] > LIKELY
        ],
        "heard": [[plain(w["word"]), _seconds(w["start"]), _seconds(w["end"])] for w in heard],
    }


def _changes(text: str, proposed: str) -> list[list[str]]:
    """Both texts in one: words, and whether they stay (""), go or come."""
    old, new = text.split(), proposed.split()
    found = []
    for kind, start, end, begin, stop in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind == "equal":
            found.append(["", " ".join(old[start:end])])
        else:
            found += [["goes", " ".join(old[start:end])], ["comes", " ".join(new[begin:stop])]]
    return [one for one in found if one[1]]


def _state(word: Row) -> str:
    """What was found of a word: the page has a colour and a name for each."""
    if word["spoken"] <= LIKELY:
        return "unsaid"
    if word["replaced"] > LIKELY:
        return "replaced"
    if not word["kept"]:
        return "unsaid"
    return "unsure" if word["confidence"] < LIKELY else ""


def _seconds(value: float) -> float:
    return round(value, 2)


def _histogram(name: str, utterances: Sequence[Row]) -> dict[str, Any] | None:
    """Counts of one measure over the sample; None: nothing is known of it."""
    values = [value for row in utterances if (value := _value(name, row)) is not None]
    if not values:
        return None
    bounds = (0.0, 1.0) if max(values) <= 1 and min(values) >= 0 else None
    counts, edges = np.histogram(values, bins=BINS, range=bounds)
    return {"name": MEASURES[name], "counts": counts.tolist(), "edges": edges.round(3).tolist()}


def _value(name: str, row: Row) -> float | None:
    if not row["duration"]:
        return None
    if name == "rate":
        letters = sum(map(str.isalpha, row["text"]))
        return letters / row["speech_seconds"] if row["speech_seconds"] else None
    value = row[name]
    return None if value is None else float(value)
