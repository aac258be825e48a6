"""Does the interval of the share of wrong rows, corrected by people, hold what it should?

Prints the table of `docs/review.md` and remakes it there: corpora are made, audited with a power
and false alarms of their own, a blind sample is drawn and judged, and the interval is asked whether
it holds the true share. `python -m bench.review`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_gate.audit.review.estimate import measure
from asr_gate.audit.review.sample import AuditedRow, draw_blind
from bench.docs import replace_figures

PAGE = Path("docs/review.md")
SIMULATIONS = 1000
CONFIDENCE = 0.95
DRAWS = 4000


@dataclass(frozen=True)
class Case:
    """A corpus, an audit of it, and a blind sample."""

    rates: tuple[float, ...]
    """Share of wrong rows, by domain."""
    power: float
    false_alarm: float
    judged: int
    sizes: tuple[int, ...] = (5000,)
    sampled: tuple[int, ...] = (500,)
    unsure: float = 0.0
    """Share of the judged rows of which the person is not sure."""


CASES = (
    Case((0.005,), 0.9, 0.02, 100),
    Case((0.02,), 0.9, 0.01, 50),
    Case((0.02,), 0.9, 0.01, 200),
    Case((0.1,), 0.9, 0.01, 50),
    Case((0.1,), 0.9, 0.01, 200),
    Case((0.1,), 0.3, 0.01, 50),
    Case((0.1,), 0.5, 0.01, 100),
    Case((0.1,), 0.5, 0.1, 100),
    Case((0.3,), 0.7, 0.05, 50),
    Case((0.3,), 0.7, 0.05, 200),
    Case((0.1,), 0.8, 0.02, 100, unsure=0.1),
    Case((0.1,), 0.8, 0.02, 100, sizes=(600,), sampled=(600,)),
    Case((0.05, 0.4), 0.8, 0.02, 100, sizes=(9000, 1000), sampled=(500, 300)),
    Case((0.05, 0.4, 0.1), 0.8, 0.05, 200, sizes=(20000, 1000, 300), sampled=(600, 600, 300)),
)


def covers(case: Case, number: int) -> tuple[bool, float]:
    """Whether the interval of one simulation holds the true share, and how wide it is."""
    random = np.random.default_rng([number, *case.sizes, case.judged])
    rows, wrong, count = [], {}, 0
    for domain, (rate, size, sampled) in enumerate(
        zip(case.rates, case.sizes, case.sampled, strict=True)
    ):
        truth = random.random(size) < rate
        count += int(truth.sum())
        for index in range(sampled):  # the rows are alike, so that the first ones are a sample
            flagged = random.random() < (case.power if truth[index] else case.false_alarm)
            rows.append(AuditedRow(f"{domain}-{index}", str(domain), flagged, size / sampled))
            wrong[rows[-1].id] = bool(truth[index])
    said = {
        one: None if random.random() < case.unsure else wrong[one]
        for one in draw_blind(rows, case.judged, str(number))
    }
    populations = {str(domain): size for domain, size in enumerate(case.sizes)}
    found = measure(rows, said, populations, CONFIDENCE, seed=number, draws=DRAWS)
    if found is None:  # nothing was told
        return True, 1.0
    share = count / sum(case.sizes)
    return found.estimate.low <= share <= found.estimate.high, (
        found.estimate.high - found.estimate.low
    )


def main() -> None:
    """Simulate every case, print the table and put it into the page."""
    lines = [
        "| wrong rows | rows (audited) | power | false alarms | judged | unsure "
        "| held by the 95 % interval | its width |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for case in CASES:
        results = [covers(case, number) for number in range(SIMULATIONS)]
        held = sum(one for one, _ in results) / SIMULATIONS
        width = float(np.median([one for _, one in results]))
        rates = ", ".join(f"{100 * rate:g} %" for rate in case.rates)
        sizes = ", ".join(f"{a} ({b})" for a, b in zip(case.sizes, case.sampled, strict=True))
        lines.append(
            f"| {rates} | {sizes} | {case.power:.0%} | {case.false_alarm:.0%} | {case.judged} "
            f"| {case.unsure:.0%} | {held:.1%} | {100 * width:.1f} points |"
        )
    table = "\n".join(lines) + "\n"
    print(table)
    replace_figures(PAGE, "coverage", f"\n{SIMULATIONS} simulations each:\n\n{table}\n")


if __name__ == "__main__":
    main()
