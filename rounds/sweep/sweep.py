"""A sweep: trials are taken and trained until there are enough, then the best is confirmed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asr_gate.audit.gate import NoVerdict
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.labels import LabelRule
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.admission import Admission, admit
from asr_gate.rounds.sweep.base import Base, read_base, with_project
from asr_gate.rounds.sweep.file import Loaded, load_sweep_file
from asr_gate.rounds.sweep.training import (
    REFUSED,
    Stopped,
    Watched,
    drop_weights,
    last_line,
    train,
)
from asr_gate.rounds.sweep.trials import Claimed, Trials
from asr_gate.train.authorise import REPORTS
from asr_gate.train.launch import COMMAND

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SWEEPS = Path("sweeps")
"""Folder of sweeps."""
SWEEP_FILE = "sweep.yaml"
"""Copy of the file in the sweep's folder."""
BEST_FILE = "best.yaml"
POLL = 1.0
"""Seconds between two looks for trials that other processes lost."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One trial, for people."""

    number: int
    state: str
    """`complete`, `pruned` (ended early), `failed`, `running`, or `lost` until somebody takes it up
    again."""
    settings: space.Settings
    objective: float | None
    evaluations: int
    seconds: float | None
    reason: str | None = None


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
        ended = sum(row.state in ("complete", "pruned", "failed") for row in self.rows)
        return ended >= self.trials


class Sweep:
    """A sweep in its folder; any number of processes may run the same one."""

    def __init__(
        self,
        loaded: Loaded,
        base: Base,
        folder: Path,
        *,
        asr: Sequence[str] = COMMAND,
        say: Say = lambda line: None,
    ) -> None:
        """Open it; `from_yaml` is what callers want.

        Args:
            loaded: the file.
            base: the training that it varies.
            folder: of the sweep.
            asr: the command `asr`.
            say: is told what happens, a line each.
        """
        self.loaded = loaded
        self.file = loaded.content
        self.base = base
        self.folder = folder
        self.name = folder.name
        self.asr = tuple(asr)
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
        asr: Sequence[str] = COMMAND,
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
            asr: the command that is started for each trial.
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
        )
        space.check_space(loaded, list(base.overrides))
        folder = out or SWEEPS / (loaded.content.name or given.stem)
        return cls(loaded, base, folder, asr=asr, say=say)

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
        return self.status()

    def admit(self) -> Admission:
        """Pass the gate, once for all trials; later it is only read what that has found."""
        self._begin()
        return admit(self.folder, self.base, self.file.program)

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
        return [*self.base.arguments(), *space.overrides(settings), *space.overrides(own)]

    def _train(self, claimed: Claimed, admission: Admission) -> None:
        from optuna.trial import TrialState

        trial, number = claimed.trial, claimed.number
        name = f"{number:04d}"
        self.say(f"trial {number}: {' '.join(space.overrides(claimed.settings))}")

        def seen(found: Watched) -> bool:
            admission.require_same(found, claimed.folder)
            values = found.values(self.file.metric.name)
            known = self.trials.study.get_trials(deepcopy=False)[number].intermediate_values
            for step, value in enumerate(values, start=1):
                if step not in known:
                    trial.report(value, step)
            return bool(values) and found.status == "running" and trial.should_prune()

        try:
            arguments = self.arguments(claimed.settings, name)
            found, code = train(
                arguments, claimed.folder, lock=claimed.lock, seen=seen, asr=self.asr
            )
            study = self.trials.study
            if code in REFUSED:
                raise NoVerdict(f"trial {number}: {last_line(claimed.folder)}")
            values = [] if found is None else found.values(self.file.metric.name)
            if found is not None and found.status == "finished" and values:
                study.tell(number, values[-1])
                self.say(f"trial {number}: {self.file.metric.name} {values[-1]:.4f}")
            elif found is not None and found.status == "stopped" and code == 0:
                if not trial.should_prune():
                    raise Stopped(f"trial {number} was stopped from outside; run it again to go on")
                study.tell(number, state=TrialState.PRUNED)
                self.say(f"trial {number}: ended early, {self.file.metric.name} {values[-1]:.4f}")
            else:
                reason = found.reason if found and found.reason else last_line(claimed.folder)
                trial.set_user_attr("reason", reason)
                study.tell(number, state=TrialState.FAIL)
                self.say(f"trial {number}: failed: {reason}")
            self._drop_weights()
        finally:
            os.close(claimed.lock)

    def ranked(self) -> list[FrozenTrial]:
        """The trials that were trained to their end, the best first."""
        from optuna.trial import TrialState

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
        if self.folder.is_dir():
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

    def best(self) -> Best:
        """The best trial so far, its recipe written to `best.yaml`.

        Raises:
            UserError: no trial has been trained to its end yet.
        """
        from asr_gate.train import recipes

        ranked = self.ranked()
        if not ranked:
            raise UserError(f"{self.folder}: no trial has been trained to its end yet")
        first = ranked[0]
        settings = space.settings_of(self.file, first.params)
        changed = [*self.base.overrides, *space.overrides(settings)]
        recipe = recipes.load(self.base.recipe, changed)[1]
        recipes.write(self.folder / BEST_FILE, recipe)
        assert first.value is not None
        return Best(settings, first.value, first.number, self.folder / BEST_FILE)


@dataclass(frozen=True)
class Best:
    """The best trial."""

    overrides: dict[str, Any]
    """What it sets otherwise than the recipe, by key; for `asr train RECIPE KEY=VALUE…`."""
    objective: float
    """Its metric on the rows that chose it, which is too good."""
    trial: int
    recipe: Path
    """`best.yaml`, which `asr train` takes."""
    confirmation: None = None
    """Its comparison with the recipe on rows that no trial saw; None: not made yet."""
