"""A sweep: trials are taken and trained until there are enough, then the best is confirmed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from asr_gate.audit.gate import NoVerdict
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
from asr_gate.rounds.sweep.results import Best, Row, Status
from asr_gate.rounds.sweep.training import (
    REFUSED,
    RUN,
    Stopped,
    Watched,
    drop_weights,
    last_line,
    train,
)
from asr_gate.rounds.sweep.trials import Claimed, Trials, take
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
POLL = 1.0
"""Seconds between two looks for trials that other processes lost."""

Say = Callable[[str], None]


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
        folder = out or SWEEPS / (loaded.content.name or given.stem)
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
            UserError: bad input, or the first trials have all failed.
        """
        admission = self.admit()
        done = 0
        while n is None or done < n:
            claimed = self.trials.claim()
            if claimed is not None:
                self._train(claimed, admission)
                done += 1
            elif self.trials.running():
                time.sleep(POLL)  # a process that works on it may get lost
            else:
                break
        if not self.trials.running() and not self._left():
            self.confirm()
            self.report()
        return self.status()

    def run_given(self, settings: space.Settings) -> None:
        """Train one trial with values that W&B's server chose; Ctrl-C and SIGTERM end it early.

        Errors as in `run`.
        """
        from optuna.trial import TrialState

        admission = self.admit()
        claimed = self.trials.given(settings)
        try:
            self._train(claimed, admission)
        except KeyboardInterrupt:
            self.trials.tell(claimed.number, None, TrialState.PRUNED)
            raise

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
        best = self.best() if self.ranked() else None
        return write_report(self.folder, self.status(), self.trials.study, best)

    def refine(self, path: Path) -> Path:
        """Write the file of a second sweep around the best trial: by `bayes`, in a narrower space.

        The rows that confirm have no part in it, so that they can confirm the second sweep as well.

        Raises:
            UserError: no trial has been trained to its end yet, or the file is there already.
        """
        ranked = self.ranked()
        if not ranked:
            raise UserError(f"{self.folder}: no trial has been trained to its end yet")
        settings = space.settings_of(self.file, ranked[0].params)
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
        free = {"run_cap", "controller", "description", "project", "entity"}
        begun = load_sweep_file(copy).content.model_dump(exclude=free)
        if begun != self.file.model_dump(exclude=free):
            raise UserError(
                f"{self.loaded.path}: {self.folder} was begun with another file; only run_cap and "
                "controller may change; name another --out"
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

    def _train(self, claimed: Claimed, admission: Admission) -> None:
        from optuna.trial import TrialState

        trial, number = claimed.trial, claimed.number
        name = f"{number:04d}"
        self.say(f"trial {number}: {' '.join(space.overrides(claimed.settings))}")

        ended_early = False

        def seen(found: Watched) -> bool:
            nonlocal ended_early
            admission.require_same(found, claimed.folder)
            values = found.values(self.file.metric.name)
            known = self.trials.all()[number].intermediate_values
            for step, value in enumerate(values, start=1):
                if step not in known:
                    trial.report(value, step)
            # A rule that has decided once says no the next time.
            if values and found.status == "running" and not ended_early:
                ended_early = trial.should_prune()
            return ended_early

        try:
            arguments = self.arguments(claimed.settings, name)
            found, code = train(
                arguments, claimed.folder, lock=claimed.lock, seen=seen, asr=self.asr
            )
            if code in REFUSED:
                raise NoVerdict(f"trial {number}: {last_line(claimed.folder)}")
            values = [] if found is None else found.values(self.file.metric.name)
            if found is not None and found.status == "finished" and values:
                self.trials.tell(number, values[-1], TrialState.COMPLETE)
                self.say(f"trial {number}: {self.file.metric.name} {values[-1]:.4f}")
            elif found is not None and found.status == "stopped" and code == 0:
                if not ended_early:
                    raise Stopped(f"trial {number} was stopped from outside; run it again to go on")
                self.trials.tell(number, None, TrialState.PRUNED)
                self.say(f"trial {number}: ended early, {self.file.metric.name} {values[-1]:.4f}")
            else:
                reason = found.reason if found and found.reason else last_line(claimed.folder)
                trial.set_user_attr("reason", reason)
                self.trials.tell(number, None, TrialState.FAIL)
                self.say(f"trial {number}: failed: {reason}")
            self._drop_weights()
        finally:
            os.close(claimed.lock)

    def ranked(self) -> list[FrozenTrial]:
        """The trials that were trained to their end, the best first."""
        from optuna.trial import TrialState

        if not self.begun:
            return []
        complete = self.trials.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        return sorted(complete, key=lambda one: (one.value, one.number))

    def _drop_weights(self) -> None:
        keep = {one.number for one in self.ranked()[: self.file.controller.confirm]}
        for one in self.trials.all():
            if one.state.is_finished() and one.number not in keep:
                drop_weights(self.trials.folder_of(one.number))

    def status(self) -> Status:
        """How far it is; a sweep that has not begun has no rows."""
        rows = []
        if self.begun:
            rows = [self._row(one) for one in self.trials.all()]
        return Status(
            self.name, self.folder, self.file.metric.name, space.trials(self.file), tuple(rows)
        )

    def _row(self, one: FrozenTrial) -> Row:
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        state = names.get(one.state.name)
        if state is None:
            state = "running" if self.trials.held(one.number) else "lost"
        drawn = dict(one.params)
        whole = len(drawn) == len(space.distributions(self.file))
        steps = one.intermediate_values
        last = steps[max(steps)] if steps else None
        return Row(
            number=one.number,
            state=state,
            settings=space.settings_of(self.file, drawn) if whole else drawn,
            objective=one.value if state == "complete" else last,
            evaluations=len(steps),
            seconds=one.duration.total_seconds() if one.duration else None,
            reason=one.user_attrs.get("reason"),
        )

    def confirm(self) -> Confirmation | None:
        """Compare the best trials with the recipe on the rows that no trial saw.

        Returns:
            None: no trial was trained to its end, or another process is at it.

        Raises:
            UserError: the recipe cannot be trained, or a model cannot be evaluated.
        """
        ranked = {one.number: one.value or 0.0 for one in self.ranked()}
        compared = finalists(ranked, self.file.controller.confirm)
        if not compared or (done := self._confirmed(compared)) is not None:
            return done if compared else None
        admission = self.admit()
        folder = self.folder / "recipe"
        lock = take(folder)
        if lock is None:
            self.say("another process confirms the best trial")
            return None
        try:
            self.say(f"the recipe itself is trained, to compare {_trials(compared)} with it")

            def seen(found: Watched) -> bool:
                admission.require_same(found, folder)
                return False

            arguments = self.arguments({}, "recipe")
            found, _ = train(arguments, folder, lock=lock, seen=seen, asr=self.asr)
            if found is None or found.status != "finished":
                said = found.reason if found and found.reason else last_line(folder)
                raise UserError(f"{folder}: the recipe could not be trained: {said}")
            confirmation = confirm(
                folder / RUN / "final",
                {number: self.trials.folder_of(number) / RUN / "final" for number in compared},
                admission.confirm,
                self.folder / "evals",
                self._evaluate(),
                audio_root=self.base.audio_root,
                labels=self.base.labels,
            )
            write_json(self.folder / CONFIRMATION_FILE, confirmation.model_dump(mode="json"))
            self.say(confirmation.said())
            return confirmation
        finally:
            os.close(lock)

    def _evaluate(self) -> Evaluate:
        if self.evaluate is not None:
            return self.evaluate
        from asr_gate.train.evaluation.evaluate_checkpoint import evaluate_checkpoint  # torch

        return evaluate_checkpoint

    def _confirmed(self, compared: Sequence[int]) -> Confirmation | None:
        """What was found about these trials; None: nothing yet."""
        path = self.folder / CONFIRMATION_FILE
        try:
            found = Confirmation.model_validate(read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            raise UserError(f"{path}: not the confirmation of a sweep; delete it") from error
        return found if found.compared == list(compared) else None

    def best(self) -> Best:
        """The winner, its recipe written to `best.yaml`: of the finalists the confirmed one.

        Raises:
            UserError: no trial has been trained to its end yet.
        """
        ranked = {one.number: one for one in self.ranked()}
        if not ranked:
            raise UserError(f"{self.folder}: no trial has been trained to its end yet")
        confirmation = self._confirmed(list(ranked)[: self.file.controller.confirm])
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
