"""The trials of a sweep on disk, which several processes work on, on one machine or several.

Optuna keeps them in a journal, to which lines are only ever added. Who works on a trial holds its
folder, and so do the processes of its training: a trial that runs by the journal and that nobody
holds is lost, and the next process that looks for work takes it up. The locks are `flock`, which
the system lets go of when a process ends, however it ends, on NFS 4 as well.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import is_held, take
from asr_gate.rounds.sweep import space
from asr_gate.rounds.sweep.file import SweepFile
from asr_gate.rounds.sweep.results import Row
from asr_gate.rounds.sweep.training import drop_weights

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial, TrialState

JOURNAL = "trials.journal"
PATIENCE = 60.0
"""Seconds to wait for another process that takes a trial, which takes milliseconds."""
STARTS = 3
"""A trial that was lost so often, and got no further, is not taken up again: it may be what kills
its processes."""
FAILURES = 3
"""The sweep stops if its first trials, so many, all fail."""


@dataclass(frozen=True)
class Claimed:
    """A trial that this process works on."""

    trial: Trial
    settings: space.Settings
    folder: Path
    lock: int
    """Descriptor of the folder; the training inherits it."""

    @property
    def number(self) -> int:
        """From 0."""
        return self.trial.number


class Trials:
    """The trials of one sweep."""

    def __init__(self, folder: Path, sweep: SweepFile, name: str) -> None:
        """Open them, or begin; the folder is there."""
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder = folder
        self.sweep = sweep
        path = folder / JOURNAL
        with _alone(folder):
            storage = JournalStorage(JournalFileBackend(str(path), _lock(path)))
            self.study = optuna.create_study(
                storage=storage,
                study_name=name,
                load_if_exists=True,
                direction="minimize",
                pruner=space.pruner(sweep),
            )

    def all(self) -> list[FrozenTrial]:
        """Every trial so far, by number."""
        return self.study.get_trials(deepcopy=False)

    def folder_of(self, number: int) -> Path:
        """Where a trial's files lie."""
        return self.folder / "trials" / f"{number:04d}"

    def claim(self) -> Claimed | None:
        """A trial to work on: one that was lost, or else a new one; None: there is none left.

        Raises:
            UserError: the first trials have all failed.
        """
        from optuna.trial import Trial, TrialState

        with _alone(self.folder):
            known = self.all()
            self._require_some_success(known)
            for one in known:
                if one.state != TrialState.RUNNING:
                    continue
                lock = take(self.folder_of(one.number))
                if lock is None:
                    continue
                if (starts := _starts(one)) >= STARTS:
                    self.fail(one.number, f"its processes were killed {starts} times")
                    os.close(lock)
                    continue
                self.study.sampler = space.sampler(self.sweep, one.number)
                return self._begin(Trial(self.study, one._trial_id), lock)
            if len(known) >= space.trials(self.sweep) or self.out_of_time(known):
                return None
            self.study.sampler = space.sampler(self.sweep, len(known))
            trial = self.study.ask()
            lock = take(self.folder_of(trial.number), PATIENCE)
            assert lock is not None, trial.number
            return self._begin(trial, lock)

    def given(self, settings: space.Settings) -> Claimed:
        """A new trial with values that somebody else chose."""
        from optuna.samplers import RandomSampler

        with _alone(self.folder):
            self.study.sampler = RandomSampler()
            self.study.enqueue_trial(space.drawn_of(self.sweep, settings))
            trial = self.study.ask()
            lock = take(self.folder_of(trial.number), PATIENCE)
            assert lock is not None, trial.number
            return self._begin(trial, lock)

    def _begin(self, trial: Trial, lock: int) -> Claimed:
        """Draw what the trial does not have yet: who worked on it may have been killed here."""
        now = self.all()[trial.number]
        asked = space.distributions(self.sweep)
        try:
            trial.set_user_attr("starts", _starts(now) + 1)
            trial.set_user_attr("reached", len(now.intermediate_values))
            drawn = {key: _draw(trial, key, one) for key, one in asked.items()}
        except OSError:
            os.close(lock)  # the disk is full, and others may take the trial
            raise
        settings = space.settings_of(self.sweep, drawn)
        return Claimed(trial, settings, self.folder_of(trial.number), lock)

    def forget_start(self, claimed: Claimed) -> None:
        """A trial that ended in good order may be started any number of times."""
        with suppress(OSError):  # the disk may be what is full
            starts = claimed.trial.user_attrs.get("starts", 1)
            claimed.trial.set_user_attr("starts", starts - 1)

    def fail(self, number: int, reason: str) -> None:
        """Write down that a trial cannot be trained, and why."""
        from optuna.trial import TrialState

        trial_id = self.all()[number]._trial_id
        self.study._storage.set_trial_user_attr(trial_id, "reason", reason)
        self.tell(number, None, TrialState.FAIL)

    def tell(self, number: int, value: float | None, state: TrialState) -> None:
        """Write down how a trial has ended."""
        from optuna.samplers import RandomSampler

        # After a grid's last point its sampler would end Optuna's own loop, which there is not.
        self.study.sampler = RandomSampler()
        self.study.tell(number, value, state)

    def ranked(self) -> list[FrozenTrial]:
        """Those that were trained to their end, the best first."""
        from optuna.trial import TrialState

        complete = [one for one in self.all() if one.state == TrialState.COMPLETE]
        return sorted(complete, key=lambda one: (one.value, one.number))

    def rows(self) -> list[Row]:
        """All of them, for people."""
        return [self._row(one) for one in self.all()]

    def _row(self, one: FrozenTrial) -> Row:
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        state = names.get(one.state.name)
        if state is None:
            state = "running" if is_held(self.folder_of(one.number)) else "lost"
        whole = len(one.params) == len(space.distributions(self.sweep))
        steps = one.intermediate_values
        return Row(
            number=one.number,
            state=state,
            settings=space.settings_of(self.sweep, one.params) if whole else dict(one.params),
            objective=steps[max(steps)] if steps else one.value,
            evaluations=len(steps),
            seconds=_seconds(one),
            reason=one.user_attrs.get("reason"),
        )

    def drop_weights(self) -> None:
        """Delete the models of trials that have ended and are not among the finalists."""
        keep = {one.number for one in self.ranked()[: self.sweep.controller.confirm]}
        for one in self.all():
            if one.state.is_finished() and one.number not in keep:
                drop_weights(self.folder_of(one.number))

    def running(self) -> bool:
        """Whether a trial is not finished yet, be it lost or worked on."""
        return any(not one.state.is_finished() for one in self.all())

    def _require_some_success(self, known: list[FrozenTrial]) -> None:
        from optuna.trial import TrialState

        ended = [one for one in known if one.state.is_finished()]
        if len(ended) >= FAILURES and all(one.state == TrialState.FAIL for one in ended):
            last = ended[-1]
            raise UserError(
                f"the first {len(ended)} trials failed, the last one so: "
                f"{last.user_attrs.get('reason', 'lost')}; see {self.folder_of(last.number)}"
            )

    def out_of_time(self, known: list[FrozenTrial]) -> bool:
        """Whether the trials have taken as long as they may, so that none starts any more."""
        hours = self.sweep.controller.hours
        return hours is not None and self.seconds(known) >= 3600 * hours

    def seconds(self, known: list[FrozenTrial]) -> float:
        """Time that trials have taken together."""
        return sum(_seconds(one) or 0.0 for one in known)


def _starts(one: FrozenTrial) -> int:
    """How often it was started since it last got further, by evaluations."""
    got_further = len(one.intermediate_values) > one.user_attrs.get("reached", 0)
    return 0 if got_further else int(one.user_attrs.get("starts", 0))


def _seconds(one: FrozenTrial) -> float | None:
    """Time that a trial has taken, without the time between two starts; None: it has not ended."""
    if one.duration is None:
        return None
    return float(one.user_attrs.get("seconds") or one.duration.total_seconds())


def _draw(trial: Trial, key: str, one: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(one, CategoricalDistribution):
        return trial.suggest_categorical(key, one.choices)
    if isinstance(one, IntDistribution):
        return trial.suggest_int(key, one.low, one.high)
    return trial.suggest_float(key, one.low, one.high, log=one.log)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time takes a trial."""
    lock = take(folder, PATIENCE)
    if lock is None:
        raise UserError(f"{folder}: another process has held it for {PATIENCE:g} s; end that one")
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path) -> Any:
    """A lock for the journal that a killed process leaves to others at once."""
    from optuna.storages.journal import JournalFileOpenLock

    class Lock(JournalFileOpenLock):
        def acquire(self) -> bool:
            self.opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self.opened, fcntl.LOCK_EX)
            _cut_torn_line(self.opened)
            return True

        def release(self) -> None:
            os.close(self.opened)

    return Lock(str(path))


def _cut_torn_line(opened: int) -> None:
    """Who was killed while writing leaves part of a line, which nothing may be added to."""
    size = os.fstat(opened).st_size
    if size and os.pread(opened, 1, size - 1) != b"\n":
        kept = os.pread(opened, size, 0).rfind(b"\n") + 1
        os.ftruncate(opened, kept)
