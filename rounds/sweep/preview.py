"""What a sweep will cost, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.admission import Admission
from asr_gate.rounds.sweep.base import Base
from asr_gate.rounds.sweep.file import SweepFile
from asr_gate.train import recipes
from asr_gate.train.run import ProjectSettings, run


@dataclass(frozen=True)
class Preview:
    """The plan of a sweep."""

    trials: int
    report: str
    decision: str
    training: int
    """Rows that train in each trial."""
    choose: int
    """Rows that the trials are chosen by."""
    confirm: int
    """Rows that no trial sees."""
    hours: float | None
    """Of one trial, on average; None: unknown."""
    total: float | None
    """Hours of all trials, one after the other, and of the recipe itself."""
    cost: float | None
    """Of `total` by `budget.price`; None: unknown, or no price is set."""
    measured: int
    """Trials that `hours` was measured on; 0: it is what the plan of the recipe says."""
    limit: float | None
    """Hours after which no trial starts."""


def preview(base: Base, sweep: SweepFile, admission: Admission, seconds: list[float]) -> Preview:
    """Count trials, rows, hours and cost.

    Args:
        base: the training that is varied.
        sweep: its file.
        admission: what the gate has found.
        seconds: of the trials so far that were trained to their end.

    Raises:
        UserError: as `asr train --dry-run`.
    """
    plan = run(
        base.recipe,
        data=base.data,
        audio_root=base.audio_root,
        split=base.split,
        report=base.report,
        accept_caution=base.accept_caution,
        accept_leaks=base.accept_leaks,
        policy=base.policy,
        verify_key=base.verify_key,
        dry_run=True,
        overrides=[*base.overrides, "data.evaluation_part=choose"],
        project=ProjectSettings(labels=base.labels, language=base.language, reports=base.reports),
    ).plan
    whole = recipes.load(base.recipe, base.overrides)[1].epochs
    trials = space.trials(sweep)
    hours = recipe_hours = plan.hours
    if seconds:
        hours = sum(seconds) / len(seconds) / 3600
        recipe_hours = hours * whole / _epochs(sweep, whole)
    elif hours is not None:
        hours *= _epochs(sweep, whole) / whole
    total = None if hours is None or recipe_hours is None else trials * hours + recipe_hours
    limit = sweep.controller.hours
    if limit is not None and total is not None and recipe_hours is not None:
        total = min(total, limit + recipe_hours)
    price = recipes.load(base.recipe, base.overrides)[1].budget.price
    return Preview(
        trials=trials,
        report=admission.report,
        decision=admission.decision,
        training=plan.training,
        choose=len(admission.choose),
        confirm=len(admission.confirm.origins),
        hours=hours,
        total=total,
        cost=None if total is None or price is None else total * price * plan.processes,
        measured=len(seconds),
        limit=limit,
    )


def _epochs(sweep: SweepFile, whole: int) -> float:
    """Epochs of a trial on average."""
    one = sweep.parameters.get("epochs")
    if one is None:
        return whole
    values = [float(value) for value in one.extremes()]
    return sum(values) / len(values)
