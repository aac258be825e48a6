"""What a sweep has come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_gate.rounds.sweep.confirm import Confirmation


@dataclass(frozen=True)
class Row:
    """One trial, for people."""

    number: int
    state: str
    """`complete`, `pruned` (ended early), `failed`, `running`, or `lost` until somebody takes it up
    again."""
    settings: dict[str, Any]
    objective: float | None
    """Of its last evaluation."""
    evaluations: int
    seconds: float | None
    reason: str | None = None
    """Why it failed."""


@dataclass(frozen=True)
class Status:
    """How far a sweep is."""

    name: str
    folder: Path
    metric: str
    trials: int
    """How many there will be."""
    rows: tuple[Row, ...]

    def count(self, state: str) -> int:
        """Trials in a state."""
        return sum(row.state == state for row in self.rows)

    @property
    def finished(self) -> bool:
        """Whether all trials have ended."""
        return sum(map(self.count, ("complete", "pruned", "failed"))) >= self.trials


@dataclass(frozen=True)
class Best:
    """The best trial."""

    overrides: dict[str, Any]
    """What it sets otherwise than the recipe, by key; for `asr train RECIPE KEY=VALUE…`."""
    objective: float
    """Its metric on the rows that chose it, on which it is too good."""
    trial: int
    recipe: Path
    """`best.yaml`, which `asr train` takes."""
    confirmation: Confirmation | None = None
    """Its model against the model of the recipe, on rows that no trial saw; None: not made yet."""
    training: tuple[str, ...] = ()
    """Arguments of `asr` that train by it on the data of the sweep."""

    @property
    def adopted(self) -> bool:
        """Whether it is better than the recipe by more than chance."""
        return self.confirmation is not None and self.confirmation.better
