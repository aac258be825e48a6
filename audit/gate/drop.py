"""What `asr clean` drops and corrects: what the audit excludes, and what the user asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from asr_gate.audit.gate.leaks import policy_of
from asr_gate.audit.gate.read import NoVerdict
from asr_gate.audit.records.causes import explained, strongest_first
from asr_gate.audit.records.excluded import AS_AUDITED, Choice, excluded, excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.pairing import MovedWords
from asr_gate.audit.records.report import Report
from asr_gate.corpus.rows import columns, with_ids
from asr_gate.corpus.text.markup import broken_characters, markup
from asr_gate.corpus.text.mend import mended
from asr_gate.corpus.utterance import Corpus

SKIPPED = "skipped"
"""In the place of a code: the row could not be audited."""

ELSEWHERE = "A012"
"""The rule for rows whose right text is another row's."""
_MENDED: Mapping[str, Callable[[str], object]] = {"T008": markup, "T009": broken_characters}
"""Rules whose findings a correction may resolve: what they still find in the corrected text."""


class Group(NamedTuple):
    """Dropped rows that are alike."""

    code: str
    """Of the finding that explains each of them best."""
    domain: str
    split: str


def rows_to_drop(
    report: Report,
    name: str,
    findings: Iterable[Finding] | None = None,
    choice: Choice = AS_AUDITED,
) -> dict[str, dict[str, Any]]:
    """The rows that a report excludes, each as its line of a drop log.

    Args:
        report: a verified report.
        name: the report's, for the message.
        findings: other findings than the report's; None: those.
        choice: what a user asked for beside what the audit excludes.

    Returns:
        By id: `reason`, and `findings`, those that count against the row, with `code`, `severity`,
        `message`, `start` and `end` in seconds (null for the whole row).

    Raises:
        NoVerdict: the audit cannot tell right from wrong.
    """
    if report.decision == "NO_VERDICT":
        raise NoVerdict(f"{name}: no verdict, so nothing to drop: {report.reasons[0]}")
    found = report.findings if findings is None else list(findings)
    rows: dict[str, dict[str, Any]] = {
        identity: {"reason": reason, "findings": []}
        for identity, reason in excluded(report, found, choice).items()
    }
    kept = {"code", "severity", "message", "start", "end"}
    for identity, of_row in _by_id(found).items():
        if identity in rows:
            rows[identity]["findings"] = [
                finding.model_dump(include=kept)
                for finding in strongest_first(of_row)
                if finding.counts
            ]
    return rows


def with_whole_corpus(
    report: Report, name: str, corpus: Corpus, content: Mapping[str, str], choice: Choice
) -> list[Finding]:
    """The report's findings and, of rules that were chosen, those in rows that it does not list.

    A report lists few warnings in rows that were not sampled. Rules that need no alignment are run
    again, so that all rows are found.

    Args:
        report: a report about this corpus.
        name: the report's, for the message.
        corpus: all rows.
        content: `Fingerprint.comparable` of the corpus.
        choice: what a user asked for.

    Raises:
        NoVerdict: the report's policy cannot be read.
    """
    if not choice.drop:
        return list(report.findings)
    from asr_gate.audit.checks import find_in_corpus

    policy = policy_of(report, name)
    again = list(find_in_corpus(choice.drop, corpus, content, policy, report.aligner.language))
    known = {(finding.id, finding.code) for finding in again}
    return again + [f for f in report.findings if (f.id, f.code) not in known]


def corrections(corpus: Corpus) -> dict[str, str]:
    """Corrected transcripts by id, of the rows that have anything to correct."""
    return {
        identity: found
        for identity, text in columns(corpus.utterances, "id", "text")
        if (found := mended(text)) != text
    }


def repairs(report: Report, corpus: Corpus) -> dict[str, str]:
    """The text that each row says, by id, of the rows that have another one's or words of one.

    Raises:
        UserError: a file of texts is not there any more, or not what the audit read.
    """
    named = {name for one in report.pairing.found for name in (one.id, one.text_of)}
    named |= {name for one in report.pairing.moved for name in (one.id, one.to) if name}
    rows = with_ids(corpus.utterances, named)
    every = {**rows, **with_ids(corpus.others, named)}
    texts = {identity: row.text for identity, row in every.items()}
    found = [one for one in report.pairing.found if one.id in rows]
    outside = {}
    if elsewhere := {one.text_of for one in found if one.text_row is None}:
        # Nothing but a repair needs what reads them.
        from asr_gate.audit.pairing.texts import texts_at

        outside = texts_at(report.pairing.files, corpus, elsewhere)
    said = {one.id: (outside if one.text_row is None else texts).get(one.text_of) for one in found}
    put_back = {identity: text for identity, text in said.items() if text is not None}
    return put_back | _texts_after(report.pairing.moved, texts | put_back)


def _texts_after(moved: Sequence[MovedWords], texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of all rows that words leave or come to, by id, with the words where they are said.

    Args:
        moved: of a report.
        texts: of all rows of the corpus, as they are written.
    """
    found: dict[str, str] = {}
    for one in moved:
        if one.id not in texts or (one.to is not None and one.to not in texts):
            continue
        words = found.get(one.id, texts[one.id]).split()
        gone = one.words.split()
        here = slice(len(gone)) if one.end == "first" else slice(-len(gone), None)
        if words[here] != gone or words == gone:
            continue  # the report is about another text
        del words[here]
        found[one.id] = " ".join(words)
        if one.to is not None:
            other = found.get(one.to, texts[one.to])
            found[one.to] = " ".join((other, *gone) if one.end == "first" else (*gone, other))
    return found


def after_repair(findings: Iterable[Finding], repaired: Container[str]) -> list[Finding]:
    """The findings that are left where rows have got the text that they say."""
    return [
        one
        for one in findings
        if one.id not in repaired or not (one.code == ELSEWHERE or explained(one.code, [ELSEWHERE]))
    ]


def after_correction(findings: Iterable[Finding], texts: Mapping[str, str]) -> list[Finding]:
    """The findings that corrected transcripts leave: no markup, nothing that follows from it."""
    left = []
    for identity, found in _by_id(findings).items():
        gone = set()
        if identity in texts:
            codes = {finding.code for finding in found}
            gone = {c for c in codes & _MENDED.keys() if _MENDED[c](texts[identity]) is None}
        left += [f for f in found if f.code not in gone and not explained(f.code, gone)]
    return left


def grouped(
    dropped: Iterable[str],
    findings: Iterable[Finding],
    choice: Choice = AS_AUDITED,
    away: Container[str] = (),
) -> Iterator[tuple[Group, int]]:
    """How many rows are dropped, by code, domain and split; each row counts once.

    Args:
        dropped: ids of the rows.
        findings: that drop them; a row without any could not be audited.
        choice: as given to `rows_to_drop`.
        away: of them, those of `given_away`.
    """
    by_id = _by_id(finding for finding in findings if excludes(finding, choice))
    counts: Counter[Group] = Counter()
    for identity in dropped:
        if identity in by_id:
            first = strongest_first(by_id[identity])[0]
            counts[Group(first.code, first.domain, first.split or "")] += 1
        else:
            counts[Group(ELSEWHERE if identity in away else SKIPPED, "", "")] += 1
    yield from sorted(counts.items())


def staying(findings: Iterable[Finding], dropped: Container[str], choice: Choice) -> dict[str, int]:
    """How many rows stay in spite of warnings that need no alignment, by code.

    Args:
        findings: the report's, or those of `with_whole_corpus`.
        dropped: ids of the rows that do not stay.
        choice: what a user asked for; what is to be kept is not told.
    """
    from asr_gate.audit.checks import RULES

    sure = {rule.code for rule in RULES if rule.whole_corpus} - choice.keep
    left = {
        (finding.code, finding.id)
        for finding in findings
        if finding.counts and finding.severity == "warning" and finding.code in sure
    }
    return dict(sorted(Counter(code for code, row in left if row not in dropped).items()))


def left_open(
    report: Report, findings: Iterable[Finding], gone: Container[str]
) -> dict[str, list[str]]:
    """Rows that stay and may have a wrong text, by the reason why the audit does not say.

    Args:
        report: the report.
        findings: of it, those that are left.
        gone: ids of the rows that are dropped, or got another text.
    """
    found: dict[str, set[str]] = {}
    unsure = {one.id for one in report.pairing.unsure}
    for identity in unsure:
        found.setdefault("one of several texts may be theirs", set()).add(identity)
    for finding in findings:
        domain = report.domain_statistics.get(finding.domain)
        untold = domain is not None and domain.cannot_tell is not None
        if untold and not finding.counts and finding.severity == "error":
            found.setdefault(f"domain {finding.domain} cannot be judged", set()).add(finding.id)
    left = {why: sorted(id for id in ids if id not in gone) for why, ids in found.items()}
    return {why: ids for why, ids in sorted(left.items()) if ids}


def given_away(report: Report, doubtful: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Rows whose text a repair gives to the row that says it, while they may say another one.

    They are dropped, as in `rows_to_drop`: what they say is in no row that is known.

    Args:
        report: the report.
        doubtful: as `left_open` gives them.
    """
    says = {one.text_of: one.id for one in report.pairing.found if one.text_row is not None}
    rows = sorted({identity for ids in doubtful.values() for identity in ids} & says.keys())
    return {
        identity: {"reason": f"its text is what {says[identity]} says", "findings": []}
        for identity in rows
    }


def _by_id(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    by_id: dict[str, list[Finding]] = {}
    for finding in findings:
        by_id.setdefault(finding.id, []).append(finding)
    return by_id
