"""How often which kind of error is made, as figures, picture and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.cases.case import KINDS, STATUSES, Kind, Status
from asr_gate.rounds.cases.store import CaseStore, Chosen
from asr_gate.tracking import Tracker
from asr_gate.train.files import write_file

TITLE = "Errors by kind"


@dataclass(frozen=True)
class Statistics:
    """Counts of cases and of their errors."""

    statuses: dict[Status, int]
    """Cases by status; every status is there."""
    domains: dict[str, dict[Kind, int]]
    """Errors by domain and kind; every kind is there."""

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(self.statuses.values())

    @property
    def kinds(self) -> dict[Kind, int]:
        """Errors by kind, over all domains."""
        total: Counter[Kind] = Counter()
        for counts in self.domains.values():
            total.update(counts)
        return {kind: total[kind] for kind in KINDS}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cases": self.cases,
            "statuses": self.statuses,
            "errors": self.kinds,
            "domains": self.domains,
        }


def statistics(store: CaseStore, chosen: Chosen = Chosen()) -> Statistics:  # noqa: B008 (frozen)
    """Count the cases of a store; errors as in `CaseStore.find`."""
    statuses = store.count_statuses(chosen)
    return Statistics(
        {status: statuses.get(status, 0) for status in STATUSES},
        {
            domain: {kind: counts.get(kind, 0) for kind in KINDS}
            for domain, counts in store.count_kinds(chosen).items()
        },
    )


def plot(found: Statistics, path: Path) -> None:
    """Write the errors by kind, stacked by domain, as a picture (PNG or SVG, by the suffix).

    Raises:
        UserError: another suffix, or the file cannot be written.
    """
    import io

    from matplotlib.figure import Figure

    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UserError(f"--plot {path}: end the name in .png or .svg")
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    before = [0] * len(KINDS)
    for domain, counts in found.domains.items():
        widths = [counts[kind] for kind in KINDS]
        axes.barh(KINDS, widths, left=before, label=domain)
        before = [left + width for left, width in zip(before, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_title(TITLE)
    axes.set_xlabel("errors")
    if found.domains:
        axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_file(path, content.getvalue())


def log_statistics(tracker: Tracker, found: Statistics) -> None:
    """Log counts, bars and the table of kinds by domain; the run has begun."""
    metrics: dict[str, object] = {"cases/total": found.cases}
    metrics |= {f"cases/{status}": count for status, count in found.statuses.items()}
    metrics |= {f"cases/errors/{kind}": count for kind, count in found.kinds.items()}
    closed = found.statuses["corrected"] + found.statuses["confirmed"] + found.statuses["dropped"]
    metrics["cases/looked_at"] = closed / found.cases if found.cases else 0.0
    tracker.log_metrics(metrics)
    tracker.log_table("cases/by_domain", ["domain", *KINDS], _rows(found.domains))
    counts: Mapping[Kind, int] = found.kinds
    tracker.log_bars("cases/kinds", TITLE, list(counts), list(counts.values()), axis="errors")


def _rows(domains: Mapping[str, Mapping[Kind, int]]) -> list[list[object]]:
    return [[domain, *(counts[kind] for kind in KINDS)] for domain, counts in domains.items()]
