"""What `report.html` shows, as plain data: made from the report and the tables that it vouches for.

Nothing in it is markup: the page puts every string in as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from asr_gate.audit.records.causes import cause_of, strongest_first
from asr_gate.audit.records.controls import LIKELY
from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import Report
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.headline import sentence
from asr_gate.audit.report.propose import propose
from asr_gate.corpus.text.plain import plain

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
    utterances: Sequence[Row],
    words: Iterable[Row],
    gaps: Iterable[Row],
    heard: Iterable[Row],
    next_commands: Sequence[tuple[str, str]],
    limit: int,
) -> dict[str, Any]:
    """Everything on the page but the audio.

    Args:
        report: the report.
        utterances: rows of `utterances.parquet`.
        words: of `words.parquet`.
        gaps: of `gaps.parquet`.
        heard: of `heard.parquet`.
        next_commands: what to run next, and what it does.
        limit: most rows in the list.
    """
    by_id: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_id.setdefault(finding.id, []).append(finding)
    known = {row["id"]: row for row in utterances}
    order = sorted(by_id, key=lambda id: _worst_first(by_id[id], known.get(id)))
    shown = order[:limit]
    chosen = set(shown)
    parts = [_grouped(table, chosen) for table in (words, gaps, heard)]
    rules = catalogue()
    codes = {finding.code for finding in report.findings}
    return {
        "digest": report.digest,
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
        "next": [list(pair) for pair in next_commands],
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
        },
        "hidden": len(order) - len(shown),
        "rows": [
            _row(id, by_id[id], known.get(id), *(part.get(id, []) for part in parts))
            for id in shown
        ],
    }


def _worst_first(findings: Sequence[Finding], row: Row | None) -> tuple[object, ...]:
    """Excluded rows first, then by quality; rows that nobody aligned last of their kind."""
    quality = 1.0 if row is None else row["quality"]
    return (
        not any(map(excludes, findings)),
        not any(finding.counts for finding in findings),
        quality,
        findings[0].id,
    )


def _grouped(rows: Iterable[Row], ids: set[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["id"] in ids:
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


def _state(word: Row) -> str:
    """What was found of a word: the page has a colour and a name for each."""
    if not word["kept"] or word["spoken"] <= LIKELY:
        return "unsaid"
    if word["replaced"] > LIKELY:
        return "replaced"
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
