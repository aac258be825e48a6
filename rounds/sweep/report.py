"""A sweep's report: table, importances, and pictures, in its folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.rounds.sweep.picture import PICTURE_FILE, draw
from asr_gate.rounds.sweep.results import Best, Status
from asr_gate.train.files import write_file

if TYPE_CHECKING:
    from optuna.study import Study

REPORT_FILE = "report.md"
LEAST = 2
"""Trials that importances and pictures need."""


def columns(status: Status) -> list[str]:
    """Headings of the table."""
    keys = dict.fromkeys(key for row in status.rows for key in row.settings)
    return ["trial", "state", *keys, status.metric, "evaluations", "minutes"]


def table(status: Status) -> list[list[str]]:
    """One line for each trial, the best first, and what has no objective last."""
    order = {"complete": 0, "pruned": 1}
    keys = columns(status)[2:-3]
    lines = []
    for row in sorted(
        status.rows,
        key=lambda row: (order.get(row.state, 2), row.objective or 0.0, row.number),
    ):
        settings = [_short(row.settings.get(key)) for key in keys]
        objective = "" if row.objective is None else f"{row.objective:.4f}"
        minutes = "" if row.seconds is None else f"{row.seconds / 60:.1f}"
        lines.append(
            [str(row.number), row.state, *settings, objective, str(row.evaluations), minutes]
        )
    return lines


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def importances(study: Study) -> dict[str, float]:
    """The share of each key in how different the trials are (PED-ANOVA, Watanabe et al. 2023).

    Empty: fewer than `LEAST` trials were trained to their end, or nothing was varied.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(complete) < LEAST or not complete[0].params:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return dict(found)


def write_report(folder: Path, status: Status, study: Study, best: Best | None) -> list[Path]:
    """Write `report.md`, and with two trials or more `report.png`.

    Returns:
        What was written.

    Raises:
        UserError: the folder cannot be written.
    """
    shares = importances(study)
    pictures = []
    if shares:
        complete = [one for one in study.get_trials(deepcopy=False) if one.state.name == "COMPLETE"]
        complete.sort(key=lambda one: (one.value, one.number))
        pictures.append(folder / PICTURE_FILE)
        draw(pictures[0], status.metric, complete, shares)
    path = folder / REPORT_FILE
    write_file(path, _markdown(status, shares, best, pictures).encode())
    return [path, *pictures]


def _markdown(
    status: Status, shares: Mapping[str, float], best: Best | None, pictures: list[Path]
) -> str:
    lines = [f"# Sweep {status.name}", ""]
    if best is not None:
        said = best.confirmation.said() if best.confirmation else "not compared with the recipe yet"
        lines += [f"Best: trial {best.trial}, {status.metric} {best.objective:.4f}; {said}.", ""]
    headings = columns(status)
    lines += [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    lines += [f"| {' | '.join(_cell(one) for one in row)} |" for row in table(status)]
    failed = [row for row in status.rows if row.reason]
    lines += ["", *(f"- trial {row.number} failed: {_cell(row.reason or '')}" for row in failed)]
    if shares:
        lines += ["", "| key | importance |", "|---|---:|"]
        lines += [f"| {_cell(key)} | {100 * share:.0f} % |" for key, share in shares.items()]
    lines += ["", *(f"![{path.stem}]({path.name})" for path in pictures)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
