"""People's verdicts into a report: what they call right is kept, what they call wrong excluded."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_gate.audit.decide.estimate import Interval
from asr_gate.audit.decide.verdict import RECOMMENDATIONS, decide
from asr_gate.audit.gate.leaks import policy_of
from asr_gate.audit.gate.read import NoVerdict, read_report
from asr_gate.audit.gate.tables import AuditReport, load
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.causes import cause_of
from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.report import (
    AUDITED_FILE,
    AUDITED_SIGNATURE_FILE,
    LINK_FILE,
    REPORT_FILE,
    SIGNATURE_FILE,
    Blind,
    Report,
    Review,
    Share,
)
from asr_gate.audit.report.next_steps import Data, read_options
from asr_gate.audit.report.write import write_views
from asr_gate.audit.review.estimate import METHOD, Measured, by_domain, measure
from asr_gate.audit.review.page_file import content_of, renew_page
from asr_gate.audit.review.sample import audited_rows
from asr_gate.audit.review.verdicts import (
    REVIEW_FILE,
    Judgement,
    Verdict,
    conflicts,
    merge,
    read_verdicts,
)
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically

REVIEWED = "R001"
"""The rule that stands for people's verdicts."""
DIGITS = 6
_COPIES = frozenset({"leak", "copy"})
"""Causes of which nobody is a judge who hears one row alone."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Applied:
    """A report with its review."""

    report: Report
    conflicts: list[Judgement]
    older: int
    """Verdicts in the folder about earlier audits, which were left out."""
    signature: bool
    """Whether the report was signed, and now is not."""


def audited(path: Path) -> tuple[AuditReport, Report]:
    """A verified report, and the same as the audit made it, before any review.

    Args:
        path: `alignment_report.json`, or the folder of the audit.

    Raises:
        NoVerdict: missing or altered; or the audit's own report is no longer beside it.
    """
    found = load(path)
    if found.content.review is None:
        return found, found.content
    before = found.path.parent / AUDITED_FILE
    report = read_report(before)
    if report.digest != found.content.review.audited:
        raise NoVerdict(f"{before}: not the report that was reviewed; audit again")
    return found, report


def apply(path: Path, files: Iterable[Path]) -> Applied:
    """Put the verdicts of the folder's `review.jsonl`, and of other files, into a report.

    The report as the audit made it stays beside it, and so does its signature. `report.html` is
    made anew, with the audio that it has.

    Args:
        path: `alignment_report.json`, or the folder of the audit.
        files: more verdicts, as the page exports them.

    Raises:
        NoVerdict: as `audited`.
        UserError: a file is not one of verdicts about this audit, or there are none.
        OSError: the folder cannot be written.
    """
    found, before = audited(path)
    folder = found.path.parent
    own = folder / REVIEW_FILE
    kept = read_verdicts(own) if own.exists() else []
    ours = [one for one in kept if one.report == before.digest]
    given = [ours, *(read_verdicts(file, before.digest) for file in files)]
    if not any(given):
        raise UserError(
            f"{own}: no verdicts about this audit; give some with asr review {path}, or name the "
            "file that report.html exported"
        )
    policy = policy_of(before, str(found.path))
    data = Data(before.dataset.manifests, read_options(None, before.dataset.split))
    rows = found.arrow("utterances").to_pylist()
    try:
        report = reviewed(before, rows, given, policy)
        sampled = {row["id"]: (float(row["coverage"]), str(row["text"])) for row in rows}
        shown = content_of(replace(found, content=report), data, policy.report.rows)
    except (KeyError, TypeError, ValueError) as error:  # the digests of a forged one may be right
        raise NoVerdict(f"{folder}: the tables are not those of an audit; audit again") from error
    signed = (folder / SIGNATURE_FILE).exists()
    if found.content.review is None:
        write_atomically(folder / AUDITED_FILE, before.to_bytes())
        if signed:
            (folder / SIGNATURE_FILE).replace(folder / AUDITED_SIGNATURE_FILE)
    # They are of the report as it was; what it excludes is no longer the same.
    for stale in (SIGNATURE_FILE, LINK_FILE, "clean.jsonl"):
        (folder / stale).unlink(missing_ok=True)
    write_atomically(folder / REPORT_FILE, report.to_bytes())
    write_views(report, sampled, folder)
    renew_page(folder, shown)
    return Applied(report, conflicts(merge(given)), len(kept) - len(ours), signed)


def reviewed(
    before: Report, rows: Rows, files: Sequence[Sequence[Verdict]], policy: Policy
) -> Report:
    """A report with people's verdicts in it, sealed anew.

    Args:
        before: the report as the audit made it.
        rows: of `utterances.parquet`.
        files: the verdicts of each file, in its order.
        policy: the report's.

    Raises:
        UserError: a verdict is about a row that the report does not know.
    """
    known = {row["id"]: row for row in rows}
    listed = {finding.id: finding for finding in before.findings}
    judgements = merge(files)
    for identity in judgements:
        if identity not in known and identity not in listed:
            raise UserError(
                f"a verdict about '{identity[:80]}', which this audit neither sampled nor found "
                "anything in; remove it"
            )
    right = {i: _who(one) for i, one in judgements.items() if one.faulty is False}
    wrong = {i: _why(one) for i, one in judgements.items() if one.faulty is True}
    findings = [
        finding.model_copy(update={"counts": False})
        if finding.id in right and cause_of(finding.code).name not in _COPIES
        else finding
        for finding in before.findings
    ]
    severity = policy.rules[REVIEWED]
    if severity != "off":
        for identity, why in wrong.items():
            place = known.get(identity) or listed[identity].model_dump()
            findings.append(
                Finding(
                    id=identity,
                    code=REVIEWED,
                    severity=severity,
                    message=f"people say: {why}",
                    origin=place["origin"],
                    domain=place["domain"],
                    speaker=place["speaker"],
                    split=place["split"],
                    start=None,
                    end=None,
                    counts=True,
                )
            )
    findings.sort(key=lambda one: (one.id, one.code, one.start or 0.0))
    found, domains = _measured(before, rows, files, policy)
    blind = _blind(before, rows, files)
    enough = policy.decision.review_decides_from
    decided = blind.flagged + blind.others - blind.unsure
    decides = bool(enough and decided >= enough and found) and before.decision != "NO_VERDICT"
    review = Review(
        audited=before.digest,
        decision=before.decision,
        verdicts=_digest(judgements),
        reviewers=sorted({one.who for j in judgements.values() for one in j.verdicts}),
        counts=_counts(judgements),
        right=right,
        wrong=wrong,
        conflicts=[one.id for one in conflicts(judgements)],
        blind=blind,
        estimate=_share(found.estimate) if found else None,
        precision=_share(found.precision) if found else None,
        recall=_share(found.recall) if found else None,
        missed=_share(found.missed) if found else None,
        domains={name: _share(one) for name, one in domains.items()},
        method=METHOD,
        decides=decides,
    )
    rules = Counter(code for _, code in {(one.id, one.code) for one in findings if one.counts})
    changes: dict[str, Any] = {
        "review": review,
        "findings": findings,
        "rules": dict(sorted(rules.items())),
    }
    if decides and found is not None:
        changes |= _decision(before, found, decided, policy)
    return before.model_copy(update=changes).sealed()


def _measured(
    before: Report, rows: Rows, files: Sequence[Sequence[Verdict]], policy: Policy
) -> tuple[Measured | None, dict[str, Interval]]:
    sample = audited_rows(before, ((row["id"], row["domain"]) for row in rows))
    faulty = _blind_verdicts(rows, files)
    everybody = merge(files)
    flagged = [row.id for row in sample if row.flagged]
    known = {one: everybody[one].faulty for one in flagged if one in everybody}
    if faulty and len(known) == len(flagged) and None not in known.values():
        faulty = known | faulty  # nobody chose them: they are all there are
    populations = {name: one.population for name, one in before.domain_statistics.items()}
    settings = (populations, policy.decision.confidence)
    seed = before.sampling.seed
    found = measure(sample, faulty, *settings, seed=seed) if faulty else None
    return found, by_domain(sample, faulty, *settings, seed=seed) if found else {}


def _blind_verdicts(rows: Rows, files: Sequence[Sequence[Verdict]]) -> dict[str, bool | None]:
    """What people said of sampled rows without knowing what the audit had found."""
    known = {row["id"] for row in rows}
    found = merge([[one for one in verdicts if one.blind] for verdicts in files])
    return {identity: one.faulty for identity, one in found.items() if identity in known}


def _blind(before: Report, rows: Rows, files: Sequence[Sequence[Verdict]]) -> Blind:
    said = _blind_verdicts(rows, files)
    low = {finding.id for finding in before.findings if excludes(finding)}
    of_flagged = [one for identity, one in said.items() if identity in low]
    of_others = [one for identity, one in said.items() if identity not in low]
    return Blind(
        flagged=len(of_flagged),
        flagged_wrong=of_flagged.count(True),
        others=len(of_others),
        others_wrong=of_others.count(True),
        unsure=[*of_flagged, *of_others].count(None),
    )


def _decision(before: Report, found: Measured, judged: int, policy: Policy) -> dict[str, Any]:
    """The decision on what people found in the place of what the audit estimated."""
    statistics = before.domain_statistics
    domains = {
        name: Interval(one.low_quality_pct / 100, one.low / 100, one.high / 100)
        for name, one in statistics.items()
        if one.low_quality_pct is not None and one.low is not None and one.high is not None
    }
    everything = before.dataset.utterances + len(before.skipped)
    verdict = decide(
        policy.decision,
        found.estimate,
        domains,
        100 * len(before.skipped) / everything,
        {name: one.cannot_tell for name, one in statistics.items() if one.cannot_tell},
        100 * (1 - before.estimate.judged),
    )
    why = (
        f"people judged {judged} rows of a blind sample (decision.review_decides_from): the "
        f"estimate is theirs; the audit alone said {before.decision}"
    )
    return {
        "decision": verdict.decision,
        "reasons": [*verdict.reasons, why],
        "recommendation": verdict.recommendation or RECOMMENDATIONS[verdict.decision],
    }


def _counts(judgements: Mapping[str, Judgement]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in judgements.values():
        agreed = one.agreed
        counts["conflict" if one.conflict else agreed.verdict if agreed else "unsure"] += 1
    return dict(sorted(counts.items()))


def _digest(judgements: Mapping[str, Judgement]) -> str:
    found = hashlib.sha256()
    for judgement in judgements.values():
        for one in judgement.verdicts:
            found.update(one.line())
    return f"sha256:{found.hexdigest()}"


def _who(judgement: Judgement) -> str:
    return ", ".join(sorted({one.who for one in judgement.verdicts if one.who}))


def _why(judgement: Judgement) -> str:
    """What each said, as `wrong (Dana): somebody else speaks`."""
    said = []
    for one in judgement.verdicts:
        if one.verdict != "unsure":
            who = f" ({one.who})" if one.who else ""
            note = f": {one.note[:200]}" if one.note else ""
            said.append(f"{one.verdict.replace('_', ' ')}{who}{note}")
    return "; ".join(said)


def _share(found: Interval) -> Share:
    return Share(
        rate=round(found.rate, DIGITS), low=round(found.low, DIGITS), high=round(found.high, DIGITS)
    )
