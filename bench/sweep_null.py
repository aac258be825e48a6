"""How often a sweep is adopted where nothing matters: simulated, with the functions that decide.

1,000 sweeps of 20 trials each. No setting changes anything: every model, the recipe's too, has the
same chance of an error in a row, which differs from row to row. The best trial on 100 rows is
compared with the recipe on 100 others. A second table lets trainings with one and the same recipe
come out differently, by a factor of the error rate; the model that is adopted then is truly better,
but its recipe is not. Writes two tables of `docs/rounds.md`.

Run: python -m bench.sweep_null
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_gate.rounds.sweep.confirm import confidence_for, finalists, winner
from asr_gate.train.evaluation.paired_bootstrap import changes
from asr_gate.train.evaluation.scoring import Errors
from bench.docs import replace_figures

PAGE = Path(__file__).parents[1] / "docs" / "rounds.md"
SWEEPS, TRIALS, ROWS, WORDS = 1000, 20, 100, 8
LEAST = 6
SPREADS = (0.0, 0.02, 0.05)
"""Standard deviations of the logarithm of the error rate between trainings."""

Counts = NDArray[np.int64]


def main() -> None:
    """Simulate, print, and write the table."""
    lines = ["| finalists | trainings differ by | adopted | truly better by, if adopted |"]
    lines.append("|---:|---:|---:|---:|")
    for count, spread in ((1, 0.0), (3, 0.0), *((1, spread) for spread in SPREADS[1:])):
        adopted, gain = simulate(count, spread)
        truly = "" if not spread else f"{100 * gain:.1f} %"
        lines.append(f"| {count} | {100 * spread:.0f} % | {100 * adopted:.1f} % | {truly} |")
        print(lines[-1], flush=True)
    replace_figures(PAGE, "sweep-null", "\n".join(lines) + "\n")


def simulate(count: int, spread: float) -> tuple[float, float]:
    """Share of the sweeps that are adopted, and by what share their model is better on average."""
    gains = []
    for seed in range(SWEEPS):
        draw = np.random.default_rng([count, round(1000 * spread), seed])
        factors = np.exp(draw.normal(0, spread, TRIALS + 1))  # the last is the recipe's model
        choose, confirm = (heard(draw, factors) for _ in range(2))
        numbers = finalists(
            {trial: choose[trial].sum() / (ROWS * WORDS) for trial in range(TRIALS)}, count
        )
        groups = [
            changes(
                list(zip(errors(confirm[-1]), errors(confirm[trial]), strict=True)),
                confidence_for(count),
                1,
                LEAST,
            )
            for trial in numbers
        ]
        if (place := winner(groups)) is not None:
            gains.append(1 - factors[numbers[place]] / factors[-1])
    return len(gains) / SWEEPS, float(np.mean(gains)) if gains else 0.0


def heard(draw: np.random.Generator, factors: NDArray[np.float64]) -> Counts:
    """Word errors of each model in each row, (models, rows)."""
    difficulty = draw.beta(1, 4, ROWS)
    return draw.binomial(WORDS, np.minimum(1, factors[:, None] * difficulty))


def errors(row: Counts) -> list[Errors]:
    """The same as the comparison counts them."""
    return [Errors(WORDS, int(one), 0, 0, 5 * WORDS, int(one)) for one in row]


if __name__ == "__main__":
    main()
