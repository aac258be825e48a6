"""A sweep: trials are taken and trained until there are enough, then the best is confirmed."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from asr_gate.audit.gate.read import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import take
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.admission import Admission, admit, pass_gate
from asr_gate.rounds.sweep.base import Base, Project, read_base, with_project
from asr_gate.rounds.sweep.confirm import Confirmation, Evaluate, confirm, finalists
from asr_gate.rounds.sweep.file import Loaded, load_sweep_file
from asr_gate.rounds.sweep.folder import (
    SWEEP_FILE,
    begin,
    read_confirmation,
    write_best,
    write_confirmation,
)
from asr_gate.rounds.sweep.presets import refined, write
from asr_gate.rounds.sweep.report import write_report
from asr_gate.rounds.sweep.results import Best, Status
from asr_gate.rounds.sweep.training import RUN
from asr_gate.rounds.sweep.trials import Claimed, Trials
from asr_gate.rounds.sweep.working import Ended, Say, train_recipe, work
from asr_gate.train.launch import COMMAND

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from asr_gate.rounds.sweep.preview import Preview

SWEEPS = Path("sweeps")
"""Folder of sweeps."""
POLL = 1.0
"""Seconds between two looks for trials that other processes lost."""


class Sweep:
    """A sweep in its folder; any number of processes may run the same one."""

    def __init__(
        self,
        loaded: Loaded,
        base: Base,
        folder: Path,
        *,
        evaluate: Evaluate | None = None,
        asr: Sequence[str] = COMMAND,
        flags: Sequence[str] = (),
        say: Say = lambda line: None,
    ) -> None:
        """Open it; `from_yaml` is what callers want.

        Args:
            loaded: the file.
            base: the training that it varies.
            folder: of the sweep.
            evaluate: evaluates the models of the finalists; None: `evaluate_checkpoint`.
            asr: the command `asr`.
            flags: of `asr train` that say where trials are tracked, such as `--wandb`.
            say: is told what happens, a line each.
        """
        self.loaded = loaded
        self.file = loaded.content
        self.base = base
        self.folder = folder
        self.name = folder.name
        self.evaluate = evaluate
        self.asr = tuple(asr)
        self.flags = tuple(flags)
        self.say = say
        self._trials: Trials | None = None

    @classmethod
    def from_yaml(
        cls,
        path: str | os.PathLike[str],
        *,
        out: Path | None = None,
        evaluate: Evaluate | None = None,
        asr: Sequence[str] = COMMAND,
        flags: Sequence[str] = (),
        say: Say = lambda line: None,
        **project: Unpack[Project],
    ) -> Self:
        """Read a sweep's file, or open a sweep by its folder, and check keys and values.

        Args:
            path: the file, or the folder of a sweep that has begun.
            out: folder of the sweep; None: `sweeps/NAME`.
            evaluate: evaluates the models of the finalists; None: `evaluate_checkpoint`.
            asr: the command that is started for each trial.
            flags: of `asr train` that say where trials are tracked, such as `--wandb`.
            say: is told what happens, a line each.
            project: what counts where the file's command says nothing; see `Project`.

        Raises:
            UserError: the file is not a sweep; names its line.
        """
        given = Path(path)
        if given.is_dir():
            given, out = given / SWEEP_FILE, out or given
        loaded = load_sweep_file(given)
        base = with_project(read_base(loaded), project)
        space.check_space(loaded, list(base.overrides))
        named = re.sub(r"[^\w.-]+", "-", loaded.content.name or "").strip(".-")
        folder = out or SWEEPS / (named or given.stem)
        return cls(loaded, base, folder, evaluate=evaluate, asr=asr, flags=flags, say=say)

    def run(self, n: int | None = None) -> Status:
        """Train trials in this process, and confirm the best one when all have ended.

        Other processes may do the same at the same time; a trial that one of them lost is taken up
        again. With `n` None this one stays until none is left.

        Args:
            n: trials to train here; None: as long as there are any.

        Raises:
            NoVerdict: the gate refuses the data (30), or they changed since the sweep began.
            Stopped: STOP (20). CautionNotAccepted: CAUTION (10).
            UserError: bad input, or the first trials or all of them have failed.
        """
        admission = self.admit()
        done = 0
        while n is None or done < n:
            claimed = self.trials.claim()
            if claimed is not None:
                self._work(claimed, admission)
                done += 1
            elif self.trials.running():
                time.sleep(POLL)  # a process that works on it may get lost
            else:
                break
        self.confirm()
        status = self.status()
        failed = [row for row in status.rows if row.reason]
        if failed and len(failed) == status.trials:
            raise UserError(
                f"{self.folder}: all trials failed, the last one so: {failed[-1].reason}; mend it, "
                "and remove this folder to begin anew"
            )
        return status

    def run_given(self, settings: space.Settings) -> None:
        """Train one trial with values that W&B's server chose; Ctrl-C and SIGTERM end it early.

        Errors as in `run`.
        """
        from optuna.trial import TrialState

        admission = self.admit()
        claimed = self.trials.given(settings)
        try:
            self._work(claimed, admission)
        except KeyboardInterrupt:
            self.trials.tell(claimed.number, None, TrialState.PRUNED)
            raise
        except Ended as error:  # W&B's server counts it and sends other values
            self.trials.fail(claimed.number, str(error))
            raise

    def _work(self, claimed: Claimed, admission: Admission) -> None:
        arguments = self.arguments(claimed.settings, f"{claimed.number:04d}")
        plain = self.arguments({}, "recipe")
        work(claimed, self.trials, arguments, plain, admission, asr=self.asr, say=self.say)

    def preview(self) -> Preview:
        """What it will cost; nothing is trained, and its folder is not made.

        Errors as in `run`, and as in `asr train --dry-run`.
        """
        from asr_gate.rounds.sweep.preview import preview

        admission = self.admit() if self.begun else pass_gate(self.base)
        rows = self.status().rows
        measured = [row.seconds for row in rows if row.state == "complete" and row.seconds]
        return preview(self.base, self.file, admission, measured)

    def report(self) -> list[Path]:
        """Write table, importances and pictures into its folder; the files."""
        best = self.best() if self.trials.ranked() else None
        return write_report(self.folder, self.status(), self.trials.study, best)

    def refine(self, path: Path) -> Path:
        """Write the file of a second sweep around the best trial: by `bayes`, in a narrower space.

        The rows that confirm have no part in it, so that they can confirm the second sweep as well.

        Raises:
            NoVerdict: no trial has been trained to its end yet.
            UserError: the file is there already.
        """
        settings = space.settings_of(self.file, self._ranked()[0].params)
        write(path, refined(self.file, self.name, settings))
        return path

    def admit(self) -> Admission:
        """Pass the gate, once for all trials; later it is only read what that has found."""
        begin(self.folder, self.loaded)
        return admit(self.folder, self.base)

    def _left(self) -> bool:
        """Whether trials are still to be begun."""
        known = self.trials.all()
        return len(known) < space.trials(self.file) and not self.trials.out_of_time(known)

    @property
    def begun(self) -> bool:
        """Whether somebody has run it."""
        return (self.folder / SWEEP_FILE).exists()

    @property
    def trials(self) -> Trials:
        """On disk."""
        if self._trials is None:
            self._trials = Trials(self.folder, self.file, self.name)
        return self._trials

    def arguments(self, settings: space.Settings, name: str) -> list[str]:
        """Of `asr`, for a training with these settings; what a sweep sets itself comes last."""
        own = {
            "data.evaluation_part": "choose",
            "wandb.group": self.name,
            "wandb.run_name": f"{self.name}-{name}",
            "wandb.log_model": "none",
            "wandb.alerts.complete": False,
        }
        changed = [*space.overrides(settings), *space.overrides(own)]
        return [*self.base.arguments(), *self.flags, *changed]

    def status(self) -> Status:
        """How far it is; a sweep that has not begun has no rows."""
        rows = self.trials.rows() if self.begun else ()
        metric, count = self.file.metric.name, space.trials(self.file)
        return Status(self.name, self.folder, metric, count, tuple(rows))

    def _ranked(self) -> list[FrozenTrial]:
        """The trials that were trained to their end, the best first."""
        ranked = self.trials.ranked() if self.begun else []
        if not ranked:
            raise NoVerdict(f"{self.folder}: no trial has been trained to its end yet")
        return ranked

    def confirm(self) -> Confirmation | None:
        """Compare the best trials with the recipe on the rows that no trial saw.

        If another process is at it, this one waits, and takes over if that is killed.

        Returns:
            None: not all trials have ended, or none was trained to its end.

        Raises:
            UserError: the recipe cannot be trained, or a model cannot be evaluated.
        """
        if not self.begun or self.trials.running() or self._left():
            return None
        ranked = {one.number: one.value or 0.0 for one in self.trials.ranked()}
        compared = finalists(ranked, self.file.controller.confirm)
        if not compared:
            return None
        if (lock := take(self.folder / "recipe")) is None:
            self.say("another process compares the best with the recipe; this one waits")
            lock = take(self.folder / "recipe", math.inf)
        assert lock is not None
        try:
            before = read_confirmation(self.folder)
            if before is not None and before.compared == compared:
                return before
            self.say(f"the recipe itself is trained, to compare {_trials(compared)} with it")
            admission = self.admit()
            confirmation = confirm(
                train_recipe(
                    self.folder / "recipe",
                    self.arguments({}, "recipe"),
                    admission,
                    lock=lock,
                    asr=self.asr,
                ),
                {number: self.trials.folder_of(number) / RUN / "final" for number in compared},
                admission.confirm,
                self.folder / "evals",
                self._evaluate(),
                before=0 if before is None else before.comparisons,
                audio_root=self.base.audio_root,
                labels=self.base.labels,
            )
            write_confirmation(self.folder, confirmation)
            return confirmation
        finally:
            os.close(lock)

    def _evaluate(self) -> Evaluate:
        if self.evaluate is not None:
            return self.evaluate
        from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint  # torch

        return evaluate_checkpoint

    def best(self) -> Best:
        """The winner, its recipe written to `best.yaml`: of the finalists the confirmed one.

        Raises:
            NoVerdict: no trial has been trained to its end yet.
        """
        ranked = {one.number: one for one in self._ranked()}
        confirmation = read_confirmation(self.folder)
        if confirmation and confirmation.compared != [*ranked][: self.file.controller.confirm]:
            confirmation = None
        number = next(iter(ranked)) if confirmation is None else confirmation.trial
        objective = ranked[number].value
        assert objective is not None
        settings = space.settings_of(self.file, ranked[number].params)
        said = [
            f"trial {number} of the sweep {self.name}: {self.file.metric.name} {objective:.4f} on "
            "the rows that chose it",
            "not compared with the recipe yet" if confirmation is None else confirmation.said(),
        ]
        overrides = [*self.base.overrides, *space.overrides(settings)]
        path = write_best(self.folder, self.base.recipe, overrides, said)
        training = replace(self.base, recipe=str(path), overrides=()).arguments()
        return Best(settings, objective, number, path, confirmation, tuple(training))


def _trials(numbers: Sequence[int]) -> str:
    return f"trial{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
