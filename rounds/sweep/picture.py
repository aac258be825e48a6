"""The picture of a sweep: each trial a line through its values, and how much each key matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from optuna.trial import FrozenTrial

PICTURE_FILE = "report.png"


def draw(
    path: Path, metric: str, trials: Sequence[FrozenTrial], importances: Mapping[str, float]
) -> None:
    """Draw parallel coordinates and importances.

    Args:
        path: of the PNG.
        metric: what the trials are compared by.
        trials: that were trained to their end, the best first; two or more.
        importances: share of each key that varies.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    _lines(left, metric, trials, list(importances))
    keys = list(importances)[::-1]
    right.barh(keys, [importances[key] for key in keys], color="0.6")
    right.set(title="importance", xlim=(0, 1))
    figure.savefig(path, dpi=120)


def _lines(axes: Axes, metric: str, trials: Sequence[FrozenTrial], keys: Sequence[str]) -> None:
    """One vertical line for each key and the metric, and one line across for each trial."""
    columns = [
        _places([one.params.get(key) for one in trials], _is_log(trials, key)) for key in keys
    ]
    columns.append(_places([one.value for one in trials], False))
    for place, (_, ticks) in enumerate(columns):
        axes.axvline(place, color="0.7", linewidth=1)
        for at, label in ticks:
            axes.annotate(label, (place, at), xytext=(4, 0), textcoords="offset points", fontsize=8)
    for number in reversed(range(len(trials))):
        style = {"color": "tab:red", "linewidth": 2.5} if number == 0 else {"color": "tab:blue"}
        points = [places[number] for places, _ in columns]
        axes.plot(points, alpha=1.0 if number == 0 else 0.4, **style)
    axes.set_xticks(range(len(columns)), [*keys, metric], rotation=20, ha="right")
    axes.set_yticks([])
    axes.set(title="trials, the best in red", xlim=(-0.1, len(columns) - 0.6))


def _is_log(trials: Sequence[FrozenTrial], key: str) -> bool:
    return any(getattr(one.distributions.get(key), "log", False) for one in trials)


def _places(values: Sequence[Any], log: bool) -> tuple[list[float], list[tuple[float, str]]]:
    """Values from 0 to 1, and the labels of the axis; words and the like are spread evenly."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        plain = [math.log(one) if log else float(one) for one in values]
        low, high = min(plain), max(plain)
        span = (high - low) or 1.0
        ends = {0.0: min(values), 1.0: max(values)} if high > low else {0.0: values[0]}
        return [(one - low) / span for one in plain], [(at, f"{v:.3g}") for at, v in ends.items()]
    names = sorted({str(one) for one in values})
    at = {name: place / max(1, len(names) - 1) for place, name in enumerate(names)}
    return [at[str(one)] for one in values], [(place, name) for name, place in at.items()]
