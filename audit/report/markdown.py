"""The report as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from asr_gate.audit.records.report import DomainStatistics, Lineage, Report, Review
from asr_gate.audit.records.rules import catalogue
from asr_gate.audit.report.headline import adapted, low_quality, opinion, sentence
from asr_gate.audit.report.locations import Locations
from asr_gate.audit.report.markdown_rows import excluded_by_cause, rows_by_rule
from asr_gate.audit.report.markdown_text import escape

DEMONSTRATION = "embedded"
"""The aligner that comes with asr-gate, for demonstrations and tests."""


def markdown(report: Report, sampled: Mapping[str, tuple[float, str]], places: Locations) -> str:
    """The page: verdict, domains, coverage, excluded rows by cause, rules with their rows.

    Args:
        report: the report.
        sampled: coverage and transcript of the sampled rows, by id.
        places: where its rows stand.
    """
    return "\n".join(_lines(report, sampled, places)) + "\n"


def _lines(
    report: Report, sampled: Mapping[str, tuple[float, str]], places: Locations
) -> Iterator[str]:
    estimate = report.estimate
    yield f"# {report.decision}"
    yield ""
    if report.aligner.name == DEMONSTRATION:
        yield (
            "**Judged by the small English model for demonstrations.** Do not rely on this on a "
            "corpus of your own: name another model with `--aligner`."
        )
        yield ""
    yield report.recommendation
    yield ""
    for reason in report.reasons:
        yield f"- {escape(reason)}"
    yield ""
    yield f"{sentence(report)} The corpus has {report.dataset.hours:.2f} hours."
    judged = report.decision != "NO_VERDICT"
    if judged and (hours := estimate.hours) is not None:
        yield (
            f"By length it is {100 * hours.rate:.1f} % of the hours ({100 * hours.low:.1f} to "
            f"{100 * hours.high:.1f} %)."
        )
    if judged and (defects := estimate.corrected) is not None:
        yield (
            f"With the {defects.power:.0%} of planted defects that were found and "
            f"{defects.false_alarm:.0%} of false alarms taken into account, "
            f"{100 * defects.rate:.1f} % of the utterances are defective "
            f"({100 * defects.low:.1f} to {100 * defects.high:.1f} %)."
        )
    yield ""
    yield (
        f"Aligned by {escape(report.aligner.name)} (language {escape(report.aligner.language)}), "
        f"which aligned {report.total_samples} of {report.dataset.utterances} utterances."
    )
    rest = report.dataset.utterances - report.total_samples
    if rest:
        yield ""
        yield (
            f"{rest} utterances are not in the sample: the estimate covers them, but nobody "
            "looked for the bad ones among them. `--all` audits every one."
        )
    yield ""
    if report.review is not None:
        yield from _review(report.review)
    yield "## Domains"
    yield ""
    yield (
        "| domain | sampled | of | low quality | interval | of its hours | median coverage "
        "| mean confidence |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name, domain in report.domain_statistics.items():
        share, interval = low_quality(domain, " to ")
        yield (
            f"| {escape(name)} | {domain.count} | {domain.population} | {share} | {interval} "
            f"| {_hours(domain)} | {domain.median_coverage:.2f} | {domain.mean_confidence:.2f} |"
        )
    yield ""
    if report.split_statistics:
        yield "## Splits"
        yield ""
        yield "| split | sampled | of | low quality | interval |"
        yield "|---|---:|---:|---:|---:|"
        for name, split in report.split_statistics.items():
            share, interval = low_quality(split, " to ")
            title = escape(name) if name else "(none)"
            yield f"| {title} | {split.count} | {split.population} | {share} | {interval} |"
        yield ""
    yield "## Coverage"
    yield ""
    distribution = report.coverage_distribution
    yield "| p10 | p25 | median | p75 | p90 | mean |"
    yield "|---:|---:|---:|---:|---:|---:|"
    yield (
        f"| {distribution.p10:.2f} | {distribution.p25:.2f} | {distribution.p50:.2f} "
        f"| {distribution.p75:.2f} | {distribution.p90:.2f} | {distribution.mean:.2f} |"
    )
    ends = [f"{low:.2f} to {high:.2f}" for low, high in distribution.intervals.values()]
    yield f"| {' | '.join(ends)} | |"
    yield ""
    if report.controls:
        rate = 100 * report.policy["controls"]["false_alarm"]
        yield "## Detection power"
        yield ""
        yield (
            "Defects planted in the audited utterances themselves, and how many were found at "
            f"thresholds that at most {rate:g} % of right transcripts pass. *Unplanted*: "
            "utterances with nothing planted that pass the same threshold, real defects among "
            "them. *At most*: of right transcripts, the upper bound that so many utterances give."
        )
        yield ""
        yield "| planted | found | of | power | interval | flagged as it is | at most | |"
        yield "|---|---:|---:|---:|---:|---:|---:|---|"
        for kind, power in report.controls.items():
            most = "" if power.false_alarm_high is None else f"{power.false_alarm_high:.1%}"
            yield (
                f"| {kind} | {power.detected} | {power.n} | {power.power:.1%} "
                f"| {100 * power.low:.1f} to {100 * power.high:.1f} % "
                f"| {power.false_alarm_rate:.1%} | {most} "
                f"| {'underpowered' if power.underpowered else ''} |"
            )
        yield ""
    if line := adapted(report):
        yield line
        yield ""
    if line := opinion(report):
        yield escape(line)
        yield ""
    yield from excluded_by_cause(report, sampled, places)
    yield ""
    yield "## Findings"
    yield ""
    if report.rules:
        known = catalogue()
        yield "| rule | utterances | severity | what it finds | what to do |"
        yield "|---|---:|---|---|---|"
        for code, count in report.rules.items():
            rule = known[code]
            severity = report.policy["rules"].get(code, rule.severity)
            yield f"| {code} | {count} | {severity} | {rule.summary} | {rule.fix} |"
    else:
        yield "None."
    yield from rows_by_rule(report, places)
    if report.skipped:
        yield ""
        yield "## Skipped"
        yield ""
        for skipped in report.skipped:
            yield f"- {escape(skipped.origin)}: {escape(skipped.reason)}"
    yield ""
    yield "## What was audited"
    yield ""
    yield f"- data: {escape(', '.join(report.dataset.manifests))}, `{report.dataset.fingerprint}`"
    precision = report.aligner.precision
    yield (
        f"- aligner: {escape(report.aligner.name)}, revision {escape(report.aligner.revision)}, "
        f"weights `{report.aligner.weights_sha256[:16]}`{_trained(report.aligner.trained)}"
        + (f", computed in {precision}" if precision != "float32" else "")
        + (", texts in Latin letters" if report.aligner.romanized else "")
    )
    yield f"- sample: {report.sampling.method}, seed {report.sampling.seed}"
    yield f"- made: {report.created_at} by asr-gate {report.tool.version}"
    yield f"- digest: `{report.digest}`"


def _trained(lineage: Lineage | None) -> str:
    if lineage is None:
        return ""
    known = f", {lineage.heard} rows of it from this corpus" if lineage.heard else ""
    return (
        f"; trained by recipe {escape(lineage.recipe)} from {escape(lineage.began_with)} on data "
        f"{escape(lineage.dataset)}{known}, allowed by the audit {escape(lineage.report)}"
    )


def _review(review: Review) -> Iterator[str]:
    """What people said of audited rows."""
    yield "## Review"
    yield ""
    said = ", ".join(f"{word} {count}" for word, count in review.counts.items())
    who = ", ".join(filter(None, review.reviewers))
    yield escape(f"People judged rows{f' ({who})' if who else ''}: {said}.")
    yield (
        f"Not excluded, since they call them right: {len(review.right)}. Excluded, since they call "
        f"them wrong: {len(review.wrong)}."
    )
    if review.conflicts:
        yield f"They disagree on {len(review.conflicts)}: {escape(', '.join(review.conflicts))}."
    if review.estimate is not None:
        yield ""
        blind = review.blind
        yield (
            f"In a blind sample {blind.flagged_wrong} of {blind.flagged} excluded rows are wrong, "
            f"and {blind.others_wrong} of {blind.others} others; of {blind.unsure} nobody is sure. "
            "For the corpus that is:"
        )
        yield ""
        yield "| | share | interval |"
        yield "|---|---:|---:|"
        named = (
            ("wrong rows in the corpus", review.estimate),
            ("wrong among the excluded (precision)", review.precision),
            ("excluded among the wrong (recall)", review.recall),
            ("wrong among the rest", review.missed),
            *((f"wrong in {name}", share) for name, share in review.domains.items()),
        )
        for name, share in named:
            if share is not None:
                yield (
                    f"| {escape(name)} | {100 * share.rate:.1f} % | {100 * share.low:.1f} to "
                    f"{100 * share.high:.1f} % |"
                )
    yield ""


def _hours(domain: DomainStatistics) -> str:
    share = domain.low_quality_hours
    return "" if share is None else f"{100 * share.rate:.1f} % of {domain.hours:.2f} h"
