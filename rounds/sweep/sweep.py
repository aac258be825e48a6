"""A sweep: trials are taken and trained until there are enough, then the best is confirmed."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from asr_gate.audit.gate.read import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.labels import LabelRule
from asr_gate.corpus.strict import read_json
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.admission import Admission, admit, pass_gate
from asr_gate.rounds.sweep.base import Base, read_base, with_project
from asr_gate.rounds.sweep.confirm import Confirmation, Evaluate, confirm, finalists
from asr_gate.rounds.sweep.file import Loaded, load_sweep_file
from asr_gate.rounds.sweep.presets import refined, write
from asr_gate.rounds.sweep.report import write_report
from asr_gate.rounds.sweep.results import Best, Status
from asr_gate.rounds.sweep.training import RUN
from asr_gate.rounds.sweep.trials import Claimed, Trials, take
from asr_gate.rounds.sweep.working import Say, train_recipe, work
from asr_gate.train import recipes
from asr_gate.train.authorise import REPORTS
from asr_gate.train.files import write_json
from asr_gate.train.launch import COMMAND

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from asr_gate.rounds.sweep.preview import Preview

SWEEPS = Path("sweeps")
"""Folder of sweeps."""
SWEEP_FILE = "sweep.yaml"
"""Copy of the file in the sweep's folder."""
BEST_FILE = "best.yaml"
CONFIRMATION_FILE = "confirmation.json"
_FREE = ("run_cap", "description", "project", "entity")
"""Keys that may change when a sweep has begun."""
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
        data: Sequence[str] = (),
        audio_root: Path | None = None,
        split: str | None = None,
        labels: Sequence[LabelRule] = (),
        reports: Path = REPORTS,
        language: str | None = None,
        evaluate: Evaluate | None = None,
        asr: Sequence[str] = COMMAND,
        flags: Sequence[str] = (),
        say: Say = lambda line: None,
    ) -> Self:
        """Read a sweep's file, or open a sweep by its folder, and check keys and values.

        Args:
            path: the file, or the folder of a sweep that has begun.
            out: folder of the sweep; None: `sweeps/NAME`.
            data: manifests, where the file's command names none; so with the next ones.
            audio_root: one more folder that audio may lie in.
            split: of the manifests.
            labels: rules that give rows domains and splits.
            reports: folder of the audits.
            language: of rows that name none.
            evaluate: evaluates the models of the finalists; None: `evaluate_checkpoint`.
            asr: the command that is started for each trial.
            flags: of `asr train` that say where trials are tracked, such as `--wandb`.
            say: is told what happens, a line each.

        Raises:
            UserError: the file is not a sweep; names its line.
        """
        given = Path(path)
        if given.is_dir():
            given, out = given / SWEEP_FILE, out or given
        loaded = load_sweep_file(given)
        base = with_project(
            read_base(loaded),
            data=data,
            audio_root=audio_root,
            split=split,
            labels=labels,
            reports=reports,
            language=language,
        )
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

    def _work(self, claimed: Claimed, admission: Admission) -> None:
        arguments = self.arguments(claimed.settings, f"{claimed.number:04d}")
        work(claimed, self.trials, arguments, admission, asr=self.asr, say=self.say)

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
        self._begin()
        return admit(self.folder, self.base)

    def _begin(self) -> None:
        """Make the folder, with a copy of the file, which must stay the same."""
        copy = self.folder / SWEEP_FILE
        self.folder.mkdir(parents=True, exist_ok=True)
        if not copy.exists():
            part = copy.with_suffix(f".{os.getpid()}")
            shutil.copyfile(self.loaded.path, part)
            part.replace(copy)
            return
        begun, now = (
            one.model_dump(exclude=dict.fromkeys(_FREE, True) | {"controller": {"hours", "type"}})
            for one in (load_sweep_file(copy).content, self.file)
        )
        if begun != now:
            raise UserError(
                f"{self.loaded.path}: {self.folder} was begun with another file; only run_cap and "
                "controller.hours may change; name another --out"
            )

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

        Returns:
            None: not all trials have ended, none was trained to its end, or another process is at
            it.

        Raises:
            UserError: the recipe cannot be trained, or a model cannot be evaluated.
        """
        if not self.begun or self.trials.running() or self._left():
            return None
        ranked = {one.number: one.value or 0.0 for one in self.trials.ranked()}
        compared = finalists(ranked, self.file.controller.confirm)
        before = self._confirmation()
        if before is not None and before.compared == compared:
            return before
        lock = take(self.folder / "recipe") if compared else None
        if lock is None:
            return None
        try:
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
            write_json(self.folder / CONFIRMATION_FILE, confirmation.model_dump(mode="json"))
            return confirmation
        finally:
            os.close(lock)

    def _evaluate(self) -> Evaluate:
        if self.evaluate is not None:
            return self.evaluate
        from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint  # torch

        return evaluate_checkpoint

    def _confirmation(self) -> Confirmation | None:
        """What was found when the best trials were compared last; None: nothing yet."""
        path = self.folder / CONFIRMATION_FILE
        try:
            return Confirmation.model_validate(read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            raise UserError(f"{path}: not the confirmation of a sweep; delete it") from error

    def best(self) -> Best:
        """The winner, its recipe written to `best.yaml`: of the finalists the confirmed one.

        Raises:
            NoVerdict: no trial has been trained to its end yet.
        """
        ranked = {one.number: one for one in self._ranked()}
        confirmation = self._confirmation()
        if confirmation and confirmation.compared != [*ranked][: self.file.controller.confirm]:
            confirmation = None
        number = next(iter(ranked)) if confirmation is None else confirmation.trial
        objective = ranked[number].value
        assert objective is not None
        settings = space.settings_of(self.file, ranked[number].params)
        changed = [*self.base.overrides, *space.overrides(settings)]
        recipe = recipes.load(self.base.recipe, changed)[1]
        said = [
            f"trial {number} of the sweep {self.name}: {self.file.metric.name} {objective:.4f} on "
            "the rows that chose it",
            "not compared with the recipe yet" if confirmation is None else confirmation.said(),
            f"from {self.base.recipe}: {' '.join(changed)}",
        ]
        path = self.folder / BEST_FILE
        recipes.write(path, recipe, said)
        return Best(settings, objective, number, path, confirmation)


def _trials(numbers: Sequence[int]) -> str:
    return f"trial{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
