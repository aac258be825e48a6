"""Figures of detection: planted defects against utterances as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FALSE_ALARMS = 0.01


@dataclass(frozen=True, slots=True)
class Rate:
    """How well one score tells one kind of defect."""

    auroc: float
    found: float
    """Share found above the quantile of the natural ones that lets 1 % of them pass."""

    def __str__(self) -> str:
        return f"{self.auroc:.3f} ({self.found:.2f})"


def rate(planted: Sequence[float], natural: Sequence[float]) -> Rate:
    """Compare scores; higher means more doubtful."""
    bad, good = np.asarray(planted)[:, None], np.asarray(natural)[None, :]
    auroc = (bad > good).mean() + (bad == good).mean() / 2
    found = (bad > np.quantile(good, 1 - FALSE_ALARMS)).mean()
    return Rate(float(auroc), float(found))
