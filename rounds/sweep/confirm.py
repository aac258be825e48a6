"""Whether the best trials are better than the recipe itself, on rows that no trial saw.

A trial that was chosen as the best of many is too good on the rows that chose it. On other rows it
is not, so there its interval needs no correction for the choice. If several finalists are compared
there, each with a chance of its own to look better, their intervals are widened by Bonferroni.

What is confirmed is the trained model against the model of the recipe. Trained again, with another
seed, either may come out a little better or worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from asr_gate.corpus.labels import LabelRule
from asr_gate.rounds.sweep.admission import ConfirmRows
from asr_gate.train.evaluation.compare import compare
from asr_gate.train.evaluation.paired_bootstrap import Group
from asr_gate.train.evaluation.result_file import RESULT_FILE, Result
from asr_gate.train.files import write_file

RISK = 0.05
"""Chance that an interval lies beside a change of 0; the finalists share it."""


class Evaluate(Protocol):
    """`evaluate_checkpoint`, or what stands in for it."""

    def __call__(
        self,
        checkpoint: str,
        manifests: Sequence[str],
        *,
        audio_root: Path | None,
        labels: Sequence[LabelRule],
        split: str | None,
        language: str | None,
        origins: Sequence[str],
        out: Path,
    ) -> tuple[Result, Path]: ...


class Confirmation(BaseModel):
    """The winner against the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: int
    better: bool
    """Whether its whole interval is below 0."""
    compared: list[int]
    """Numbers of the finalists, the best on the rows that chose first."""
    comparisons: int
    """On these rows, earlier ones included: a sweep may get more trials after its end."""
    confidence: float
    """Of the interval, so that all comparisons together miss in 5 % at most."""
    utterances: int
    recipe_wer: float
    wer: float
    low: float | None
    """Lower bound of the change of the WER, in words per word; None: too few utterances."""
    high: float | None

    def said(self) -> str:
        """One line for people."""
        change = (
            "too few utterances for an interval"
            if self.low is None or self.high is None
            else f"{100 * (self.wer - self.recipe_wer):+.2f} points "
            f"({100 * self.low:+.2f} to {100 * self.high:+.2f}, {100 * self.confidence:g} %)"
        )
        verdict = "better than the recipe" if self.better else "not confirmed"
        return (
            f"trial {self.trial} is {verdict}: WER {100 * self.wer:.2f} % against "
            f"{100 * self.recipe_wer:.2f} % on {self.utterances} rows that no trial saw: {change}"
        )


def finalists(objectives: Mapping[int, float], count: int) -> list[int]:
    """Numbers of the trials with the lowest objectives, the best first."""
    return sorted(objectives, key=lambda number: (objectives[number], number))[:count]


def confidence_for(count: int) -> float:
    """Of each of so many intervals (Bonferroni)."""
    return 1 - RISK / count


def winner(groups: Sequence[Group]) -> int | None:
    """Place of the first finalist whose WER is lower beyond its interval; None: there is none."""
    return next(
        (at for at, one in enumerate(groups) if one.wer.high is not None and one.wer.high < 0), None
    )


def confirm(
    base: Path,
    models: Mapping[int, Path],
    rows: ConfirmRows,
    folder: Path,
    evaluate: Evaluate,
    *,
    before: int = 0,
    audio_root: Path | None = None,
    labels: Sequence[LabelRule] = (),
) -> Confirmation:
    """Compare finalists with the model of the recipe.

    Args:
        base: model of the recipe.
        models: of the finalists by number, the best first.
        rows: that no trial saw.
        folder: for results and the table.
        evaluate: evaluates a checkpoint.
        before: comparisons on these rows so far, of trials that were the best then.
        audio_root: as given to the audit.
        labels: as given to the audit.

    Raises:
        UserError: a model or the rows cannot be read.
    """
    results = [
        evaluate(
            str(checkpoint),
            rows.manifests,
            audio_root=audio_root,
            labels=labels,
            split=rows.split,
            language=rows.language,
            origins=rows.origins,
            out=folder / name / RESULT_FILE,
        )[1]
        for name, checkpoint in {
            "recipe": base,
            **{f"{number:04d}": path for number, path in models.items()},
        }.items()
    ]
    comparisons_made = before + len(models)
    confidence = confidence_for(comparisons_made)
    comparisons = compare(results, confidence=confidence, numbers=rows.numbers)
    found = winner([one.overall for one in comparisons])
    numbers = list(models)
    chosen = comparisons[found or 0]
    write_file(folder / "comparison.md", "\n".join(c.markdown() for c in comparisons).encode())
    wer = chosen.overall.wer
    return Confirmation(
        trial=numbers[found or 0],
        better=found is not None,
        compared=numbers,
        comparisons=comparisons_made,
        confidence=confidence,
        utterances=chosen.overall.utterances,
        recipe_wer=wer.a,
        wer=wer.b,
        low=wer.low,
        high=wer.high,
    )
