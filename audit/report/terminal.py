"""The report on a terminal: verdict, histogram of coverage, domains, findings."""

from __future__ import annotations

from collections.abc import Sequence

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asr_gate.audit.records.report import Report
from asr_gate.audit.report.headline import adapted, headline, low_quality, opinion
from asr_gate.corpus.text.plain import isolated

COLOURS = {
    "PROCEED": "bold green",
    "CAUTION": "bold yellow",
    "STOP": "bold red",
    "NO_VERDICT": "bold red",
}
BAR = 40
"""Characters of the longest bar."""


def print_report(
    report: Report, console: Console, histogram: Sequence[float] | None = None
) -> None:
    """Print a report.

    Args:
        report: the report.
        console: where to.
        histogram: share of the corpus in equal bins of coverage from 0 to 1; None: not shown.
    """
    if histogram is not None:
        console.print("[bold]Coverage[/bold] (share of the corpus)")
        for number, share in enumerate(histogram):
            low, high = number / len(histogram), (number + 1) / len(histogram)
            bar = "█" * round(BAR * share / max(histogram))
            console.print(f"  {low:.1f}-{high:.1f} {bar} {share:.1%}", highlight=False)
    d = report.coverage_distribution
    console.print(
        f"  p10 {d.p10:.2f}  p25 {d.p25:.2f}  median {d.p50:.2f}  p75 {d.p75:.2f}  "
        f"p90 {d.p90:.2f}  mean {d.mean:.2f}\n",
        highlight=False,
    )
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("domain", "sampled", "low quality", "95 %", "coverage", "confidence"):
        table.add_column(
            heading.replace("95 %", f"{report.estimate.confidence:.0%}"),
            justify="left" if heading == "domain" else "right",
            overflow="fold",
            no_wrap=heading != "domain",
        )
    for name, domain in report.domain_statistics.items():
        table.add_row(
            Text(_shown(name)),
            f"{domain.count} of {domain.population}",
            *low_quality(domain, "-"),
            f"{domain.median_coverage:.2f}",
            f"{domain.mean_confidence:.2f}",
        )
    for name, split in report.split_statistics.items():
        table.add_row(
            Text(f"split {_shown(name)}" if name else "no split"),
            f"{split.count} of {split.population}",
            *low_quality(split, "-"),
        )
    console.print(table)
    if report.controls:
        console.print(
            "[bold]Detection power[/bold]: planted defects that were found (as it is: rows "
            "without a planted defect that are flagged too; at most: of right ones, upper bound)",
            soft_wrap=True,
        )
        table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("planted", "found", "power", "as it is", "at most", ""):
            table.add_column(heading, justify="left" if heading == "planted" else "right")
        for kind, power in report.controls.items():
            table.add_row(
                kind,
                f"{power.detected} of {power.n}",
                f"{power.power:.0%}",
                f"{power.false_alarm_rate:.1%}",
                "" if power.false_alarm_high is None else f"{power.false_alarm_high:.1%}",
                Text("underpowered", "bold yellow") if power.underpowered else "",
            )
        console.print(table)
    if line := adapted(report):
        console.print(line, highlight=False, soft_wrap=True)
    if line := opinion(report):
        console.print(Text(_shown(line)), soft_wrap=True)
    if report.rules:
        found = ", ".join(f"{code} {count}" for code, count in report.rules.items())
        console.print(f"Findings: {found}", highlight=False)
    if report.skipped:
        first = report.skipped[0]
        console.print(
            Text(
                _shown(f"Skipped: {len(report.skipped)} rows, first {first.origin}: {first.reason}")
            ),
            soft_wrap=True,
        )
    console.print()
    console.print(
        Text(report.decision, COLOURS[report.decision]),
        Text(f" {headline(report)}"),
        sep="",
        soft_wrap=True,
    )
    for reason in report.reasons:
        console.print(Text(f"  {_shown(reason)}"), soft_wrap=True)
    console.print(Text(f"  {report.recommendation}"), soft_wrap=True)


def _shown(text: str) -> str:
    """Text of others on a terminal. A word joiner keeps GitHub's runner from obeying it."""
    return isolated(text).replace("::", ":\u2060:").replace("##[", "#\u2060#[")
