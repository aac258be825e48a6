"""The estimate in one sentence, for the terminal and the Markdown pages."""

from __future__ import annotations

from collections.abc import Sequence

from asr_gate.audit.records.report import Report, SplitStatistics


def sentence(report: Report) -> str:
    """The headline as a sentence of its own."""
    line = headline(report)
    return f"{line[0].upper()}{line[1:]}."


def headline(report: Report) -> str:
    """What share of the corpus is of low quality, without the final full stop.

    Without a verdict the estimate means nothing, so only the size of the sample is given.
    """
    total, estimate = report.dataset.utterances, report.estimate
    if report.decision == "NO_VERDICT":
        return f"sampled {report.total_samples} of {total} utterances"
    of = f"{total} utterances"
    if estimate.judged < 1:
        of = f"the {estimate.judged:.0%} of {of} that could be judged"
    return (
        f"{report.low_quality_percentage:.1f} % of {of} are of low quality "
        f"({100 * estimate.low:.1f}-{100 * estimate.high:.1f} % at {estimate.confidence:.0%}), "
        f"sampled {report.total_samples}"
    )


def adapted(report: Report) -> str | None:
    """How the aligner was adapted and what that gave, as a sentence; None: it was not."""
    one = report.adaptation
    if one is None:
        return None
    power = ", ".join(
        f"{kind} {one.before[kind].power:.0%} to {now.power:.0%}"
        for kind, now in report.controls.items()
        if kind in one.before
    )
    return (
        f"The aligner was trained on rows that a first pass trusts ({one.trusted} of "
        f"{report.total_samples}), in {len(one.folds)} folds by {one.by}; each row is judged by a "
        f"model that never heard its like. Power, first pass to second: {power or 'not measured'}."
    )


SHOWN = 3
"""Rows that a line names."""


def opinion(report: Report) -> str | None:
    """What the strict aligner says, and where it disagrees, as a sentence; None: not asked."""
    one = report.second_opinion
    if one is None:
        return None
    by_alignment = [r for r in one.rows if any(code.startswith("A") for code in r.excluded_by)]
    kept = sum(not row.excluded_by for row in one.rows)
    line = (
        f"Second opinion, {one.aligner}: asked of {len(one.rows) - kept} excluded rows and {kept} "
        f"kept ones. Of the {len(by_alignment)} that alignment excludes it scores "
        f"{len(one.cleared)} as well as the kept ones{_named(one.cleared)}"
    )
    return line + (f"; no answer for {one.unanswered}." if one.unanswered else ".")


def _named(rows: Sequence[str]) -> str:
    if not rows:
        return ""
    return f" ({', '.join(rows[:SHOWN])}{', …' if len(rows) > SHOWN else ''})"


def low_quality(part: SplitStatistics, to: str) -> tuple[str, str]:
    """The share of low quality of a domain or split and its interval, as tables show them.

    Args:
        part: the domain or split.
        to: what stands between the ends of the interval.
    """
    if part.low_quality_pct is None or part.low is None or part.high is None:
        return "cannot tell", "not judged"
    return f"{part.low_quality_pct:.1f} %", f"{part.low:.1f}{to}{part.high:.1f} %"
