"""What a process does with a trial that it has taken: train, watch, and write down how it ended."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.admission import Admission
from asr_gate.rounds.sweep.training import REFUSED, RUN, Watched, last_line, passes, train
from asr_gate.rounds.sweep.trials import Claimed, Trials

Say = Callable[[str], None]


KILLED = 128
"""Exit codes above it say by which signal, as those of a shell."""
INTERRUPTED = KILLED + signal.SIGINT
MENDABLE = (2, *REFUSED, INTERRUPTED)
"""Exit codes of a training that ended in good order, and did no harm to its machine."""
FULL = 2**20
"""Bytes; a disk on which less is free is full."""
AGAIN = "the same command takes it up again"


class Ended(UserError):
    """A training ended in a way that ends the sweep as well; its trial can go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def work(
    claimed: Claimed,
    trials: Trials,
    arguments: Sequence[str],
    plain: Sequence[str],
    admission: Admission,
    *,
    asr: Sequence[str],
    say: Say,
) -> None:
    """Train a trial to its end, or until it is worse than others.

    It counts as failed only if its values are to blame. What else goes wrong (a full disk, a file
    that is gone, a killed process) would befall every trial, so it ends the sweep, and the trial
    can go on.

    Args:
        claimed: the trial; its folder is let go of in the end.
        trials: that it belongs to.
        arguments: of `asr`.
        plain: the same for the recipe itself.
        admission: what the trial is held to.
        asr: the command.
        say: is told how it ended.

    Raises:
        NoVerdict: it rests on another report, or saw other rows.
        Ended: the gate refused it, it was stopped from outside, or something else than its values
            failed.
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
        values = [] if found is None else found.values(metric)
        if found is not None:
            trial.set_user_attr("seconds", found.progress.seconds)
        if found is not None and found.status == "finished" and values:
            trials.tell(number, values[-1], TrialState.COMPLETE)
            say(f"trial {number}: {metric} {values[-1]:.4f}")
        elif found is not None and found.status == "stopped" and code == 0:
            if not ended_early:
                raise Ended(f"trial {number} was stopped from outside; {AGAIN}", INTERRUPTED)
            trials.tell(number, None, TrialState.PRUNED)
            say(f"trial {number}: ended early, {metric} {values[-1]:.4f}")
        elif is_to_blame(found, code, arguments, plain, asr):
            reason = _said(found, claimed.folder)
            trials.fail(number, reason)
            say(f"trial {number}: failed: {reason}")
        else:
            raise _ended(number, found, code, claimed.folder)
        trials.drop_weights()
    except (UserError, OSError, KeyboardInterrupt) as error:
        if getattr(error, "exit_code", INTERRUPTED) in MENDABLE:
            trials.forget_start(claimed)
        raise
    finally:
        os.close(claimed.lock)


def is_to_blame(
    found: Watched | None,
    code: int,
    arguments: Sequence[str],
    plain: Sequence[str],
    asr: Sequence[str],
) -> bool:
    """Whether a training failed by the values of its trial.

    Args:
        found: its record.
        code: its exit code.
        arguments: its own.
        plain: those of the recipe itself. If the training did not even begin, but the recipe could,
            it is the values.
        asr: the command.
    """
    if found is not None:
        return found.failed
    if code in REFUSED or not 0 < code < KILLED:
        return False
    return not passes(arguments, asr) and passes(plain, asr)


def _said(found: Watched | None, folder: Path) -> str:
    return found.reason if found is not None and found.reason else last_line(folder)


def _ended(number: int, found: Watched | None, code: int, folder: Path) -> Ended:
    """Why a training ended, if its trial is not to blame."""
    if found is not None and found.status == "finished":
        shutil.rmtree(folder / RUN, ignore_errors=True)
        said = "no row that it is chosen by could be read; put the audio back, and"
        return Ended(f"trial {number}: {said} {AGAIN}", 2)
    killed = -code if code < 0 else code - KILLED
    if killed == signal.SIGINT:
        return Ended(f"trial {number} was interrupted; {AGAIN}", INTERRUPTED)
    if killed > 0:
        memory = ", perhaps for want of memory" if killed == signal.SIGKILL else ""
        return Ended(
            f"trial {number} was killed by signal {killed}{memory}; {AGAIN}", KILLED + killed
        )
    if code in REFUSED:
        return Ended(f"trial {number}: {last_line(folder)}", code)
    if shutil.disk_usage(folder).free < FULL:  # then it could not even print why it ended
        return Ended(f"trial {number}: the disk is full; free some space, and {AGAIN}", 2)
    said = _said(found, folder)
    return Ended(f"trial {number}: {said}; when that is mended, {AGAIN}", code or INTERRUPTED)


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
