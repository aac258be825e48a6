"""A blind random sample of audited rows, for people to judge: flagged ones and others, mixed.

The audit's own sample is the first phase of a two-phase (double) sample, in which every row is
measured by the audit; the rows that people judge are the second (Cochran, "Sampling Techniques",
3rd ed., chapter 12; Tenenbein, "A double sampling scheme for estimating from binomial data with
misclassifications", 1970). Half of them are flagged rows where there are so many, since one half
measures what is flagged and the other what is not.

In each half, rows are drawn with a probability in proportion to how many rows of the corpus they
stand for, by sequential Poisson sampling (Ohlsson, "Sequential Poisson sampling", 1998): each has a
random number, divided by its weight, and the smallest ones are taken. A larger sample of the same
seed thus holds the smaller one, and any random part of it is such a sample again, so that people
may stop early or go on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.report import Report


@dataclass(frozen=True, slots=True)
class AuditedRow:
    """One row of the audit's sample."""

    id: str
    domain: str
    flagged: bool
    """Whether the audit excludes it."""
    weight: float
    """How many rows of the corpus it stands for."""


def audited_rows(report: Report, rows: Iterable[tuple[str, str]]) -> list[AuditedRow]:
    """The rows of the audit's sample.

    Args:
        report: the audit, before any review was put into it.
        rows: ids and domains, as in `utterances.parquet`.
    """
    low = excluded_ids(report.findings)
    domains = report.domain_statistics
    weights = {name: one.population / one.count for name, one in domains.items() if one.count}
    return [AuditedRow(i, domain, i in low, weights.get(domain, 1.0)) for i, domain in rows]


def draw_blind(rows: Sequence[AuditedRow], size: int, seed: str) -> list[str]:
    """Draw rows to be judged blind.

    Args:
        rows: the audit's sample.
        size: how many; all, if there are fewer.
        seed: the same one draws the same rows from the same audit, in the same order.

    Returns:
        Ids, in random order.
    """
    random_numbers = random.Random(seed)
    order = {
        row.id: random_numbers.random() / row.weight for row in sorted(rows, key=lambda r: r.id)
    }
    ids = [
        sorted((row.id for row in rows if row.flagged == flagged), key=order.__getitem__)
        for flagged in (True, False)
    ]
    flagged = min(len(ids[0]), max(size // 2, size - len(ids[1])))
    chosen = ids[0][:flagged] + ids[1][: size - flagged]
    random_numbers.shuffle(chosen)
    return chosen
