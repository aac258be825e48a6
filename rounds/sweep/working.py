"""What a process does with a trial that it has taken: train, watch, and write down how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.admission import Admission
from asr_gate.rounds.sweep.training import REFUSED, RUN, Watched, last_line, train
from asr_gate.rounds.sweep.trials import Claimed, Trials

Say = Callable[[str], None]


class Ended(UserError):
    """A training ended in a way that ends the sweep as well."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def work(
    claimed: Claimed,
    trials: Trials,
    arguments: Sequence[str],
    admission: Admission,
    *,
    asr: Sequence[str],
    say: Say,
) -> None:
    """Train a trial to its end, or until it is worse than others.

    Args:
        claimed: the trial; its folder is let go of in the end.
        trials: that it belongs to.
        arguments: of `asr`.
        admission: what the trial is held to.
        asr: the command.
        say: is told how it ended.

    Raises:
        NoVerdict: it rests on another report, or saw other rows.
        Ended: the gate refused it, or it was stopped from outside; the trial can go on.
    """
    from optuna.trial import TrialState

    trial, number, metric = claimed.trial, claimed.number, trials.sweep.metric.name
    say(f"trial {number}: {' '.join(space.overrides(claimed.settings))}")
    ended_early = False

    def seen(found: Watched) -> bool:
        nonlocal ended_early
        admission.require_same(found, claimed.folder)
        values = found.values(metric)
        known = trials.all()[number].intermediate_values
        for step, value in enumerate(values, start=1):
            if step not in known:
                trial.report(value, step)
        # A rule that has decided once says no the next time.
        if values and found.status == "running" and not ended_early:
            ended_early = trial.should_prune()
        return ended_early

    try:
        found, code = train(arguments, claimed.folder, lock=claimed.lock, seen=seen, asr=asr)
        if code in REFUSED:
            raise Ended(f"trial {number}: {last_line(claimed.folder)}", code)
        values = [] if found is None else found.values(metric)
        if found is not None and found.status == "finished" and values:
            trials.tell(number, values[-1], TrialState.COMPLETE)
            say(f"trial {number}: {metric} {values[-1]:.4f}")
        elif found is not None and found.status == "stopped" and code == 0:
            if not ended_early:
                raise Ended(
                    f"trial {number} was stopped from outside; the same command goes on", 130
                )
            trials.tell(number, None, TrialState.PRUNED)
            say(f"trial {number}: ended early, {metric} {values[-1]:.4f}")
        else:
            reason = found.reason if found and found.reason else last_line(claimed.folder)
            trial.set_user_attr("reason", reason)
            trials.tell(number, None, TrialState.FAIL)
            say(f"trial {number}: failed: {reason}")
        trials.drop_weights()
    finally:
        os.close(claimed.lock)


def train_recipe(
    folder: Path, arguments: Sequence[str], admission: Admission, *, lock: int, asr: Sequence[str]
) -> Path:
    """Train the recipe itself, to compare trials with it.

    Args:
        folder: for the training.
        arguments: of `asr`.
        admission: what it is held to.
        lock: descriptor that holds the folder.
        asr: the command.

    Returns:
        Its model.

    Raises:
        UserError: it failed; or as in `work`.
    """

    def seen(found: Watched) -> bool:
        admission.require_same(found, folder)
        return False

    found, code = train(arguments, folder, lock=lock, seen=seen, asr=asr)
    if found is None or found.status != "finished":
        said = found.reason if found and found.reason else last_line(folder)
        raise Ended(f"{folder}: the recipe was not trained to its end: {said}", code or 130)
    return folder / RUN / "final"
