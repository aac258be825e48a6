"""Runs the newest round to its end, or a new one where something changed since."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from asr_gate.corpus.digests import digest_of
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import held
from asr_gate.corpus.labels import LabelRule
from asr_gate.rounds.cases.store import CaseStore
from asr_gate.rounds.loop.judging import Evaluate, Gate, Promote, find_baseline
from asr_gate.rounds.loop.making import Audit, SweepStep, Train
from asr_gate.rounds.loop.process import REFUSED, StepFailed, run_step
from asr_gate.rounds.loop.settings import load_settings
from asr_gate.rounds.loop.state import (
    ROUNDS,
    Round,
    Step,
    now,
    path_digest,
    read_rounds,
    unchanged,
    write_round,
)
from asr_gate.rounds.loop.step import Context, Kind
from asr_gate.train.launch import COMMAND

KINDS: tuple[Kind, ...] = (Audit(), SweepStep(), Train(), Evaluate(), Gate(), Promote())
"""In the order of the work."""
PATIENCE = 10.0
"""Seconds to wait for a loop that was just killed."""


@dataclass(frozen=True)
class Planned:
    """A step of a dry run."""

    name: str
    runs: bool
    says: str


@dataclass(frozen=True)
class Outcome:
    """Where a round has come to."""

    round: Round
    exit_code: int
    """That of the step that refused; 0: promoted."""
    reason: str
    planned: Sequence[Planned] = ()
    """The steps of a dry run."""


@dataclass(frozen=True)
class Told:
    """Who is told what happens."""

    say: Callable[[str], None] = lambda line: None
    """A line that stays."""
    detail: Callable[[str], None] = lambda line: None
    """A line of the step that runs."""


def run_rounds(
    path: Path,
    *,
    labels: Sequence[LabelRule] = (),
    language: str | None = None,
    tracking: Mapping[str, Any] = MappingProxyType({}),
    dry_run: bool = False,
    told: Told = Told(),
    asr: Sequence[str] = COMMAND,
) -> Outcome:
    """Go on with the newest round, or begin the next one if something changed since it ended.

    Each step is a command of its own, run in the folder of the file. A step whose inputs are what
    they were, and whose outputs are still there, is skipped. A process that is killed loses nothing
    that a step had kept: the same call goes on.

    Args:
        path: `rounds.toml`.
        labels: rules of `asr.toml` that give rows domains and splits.
        language: of rows that name none.
        tracking: `[tracking]` of `asr.toml`: whether versions of the data are logged to W&B. The
            steps read the file themselves.
        dry_run: say what would run, and do nothing.
        told: who is told what happens.
        asr: the command.

    Raises:
        StepFailed: a step failed, with its exit code; no gate refused.
        UserError: bad settings or input; another process runs rounds here.
    """
    loaded = load_settings(path.absolute())
    with contextlib.chdir(loaded.home), contextlib.nullcontext() if dry_run else _held():
        context = Context(loaded, labels, language, tracking, read_rounds())
        loop = _Loop(context, told, asr)
        return loop.plan() if dry_run else loop.run()


@contextlib.contextmanager
def _held() -> Iterator[None]:
    ROUNDS.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(ROUNDS, PATIENCE))
        except BlockingIOError as error:
            raise UserError(
                f"{ROUNDS.absolute()}: another asr rounds run is at work here; wait for it"
            ) from error
        yield


class _Loop:
    def __init__(self, context: Context, told: Told, asr: Sequence[str]) -> None:
        self._context = context
        self._told = told
        self._asr = asr

    def run(self) -> Outcome:
        """Every step of the newest round, or of the next one."""
        self._context.check()
        round, new = self._newest()
        if new:
            write_round(round)
        at = 0
        while at < len(KINDS):
            kind = KINDS[at]
            if kind.name == "sweep" and not round.sweep:
                at += 1
                continue
            if kind.name == "gate":
                baseline = find_baseline(self._context.settings, round)
                if not round.closed:
                    round = round.model_copy(update={"baseline": baseline})
                compared = round.model_copy(update={"baseline": baseline})
            else:
                compared = round
            digest, stays = self._stays(kind, compared)
            if not stays and round.closed:
                round, at = self._new(round.until(kind.name)), 0
                write_round(round)
                continue
            if not stays:
                round = self._do(kind, round, digest)
            else:
                self._say(round, kind, f"as before: {round.steps[kind.name].says}")
            step = round.steps[kind.name]
            if step.status == "refused":
                return Outcome(self._close(round), step.exit_code, f"{kind.name}: {step.says}")
            at += 1
        return Outcome(self._close(round), 0, round.steps["promote"].says)

    def plan(self) -> Outcome:
        """What `run` would do; what follows from a step that runs is not known."""
        self._context.check()
        round, _ = self._newest()
        planned: list[Planned] = []
        at, runs = 0, False
        while at < len(KINDS):
            kind = KINDS[at]
            at += 1
            if kind.name == "sweep" and not round.sweep:
                continue
            if kind.name == "gate" and not runs:
                baseline = find_baseline(self._context.settings, round)
                round = round.model_copy(update={"baseline": baseline})
            runs = runs or not self._stays(kind, round)[1]
            if runs and round.closed:
                round, planned, at, runs = self._new(round.until(kind.name)), [], 0, False
                continue
            step = round.steps.get(kind.name)
            says = "" if runs or step is None else step.says
            planned.append(Planned(kind.name, runs, says))
            if not runs and step is not None and step.status == "refused":
                return Outcome(round, step.exit_code, f"{kind.name}: {step.says}", planned)
        return Outcome(round, 0, "", planned)

    def _stays(self, kind: Kind, round: Round) -> tuple[str, bool]:
        """The digest of a step's inputs, and whether what is known of it still holds."""
        digest = f"sha256:{digest_of(kind.inputs(self._context, round))}"
        known = round.steps.get(kind.name)
        if known is None or known.status == "begun" or known.inputs != digest:
            return digest, False
        return digest, unchanged(known.outputs)

    def _do(self, kind: Kind, round: Round, digest: str) -> Round:
        known = round.steps.get(kind.name)
        facts = kind.begin(self._context, round, known, digest)
        began = Step(inputs=digest, status="begun", facts=facts)
        round = round.until(kind.name).with_step(kind.name, began)
        write_round(round)
        log = round.folder / f"{kind.name}.log"
        words = kind.command(self._context, round, facts)
        self._say(round, kind, f"begins (log: {log})")
        start = time.monotonic()
        code, said = run_step([*self._asr, *words], log, self._told.detail)
        if code not in (0, *REFUSED):
            raise StepFailed(
                f"round {round.number}, {kind.name}: {said or f'failed; see {log}'}", code
            )
        came = kind.came(self._context, round, facts)
        if came is None:
            raise StepFailed(
                f"round {round.number}, {kind.name}: was stopped; the same command goes on", 130
            )
        step = Step(
            inputs=digest,
            status="refused" if code else "done",
            exit_code=code,
            says=(said or came.says) if code and kind.name != "gate" else came.says,
            outputs={str(path): path_digest(path) or "" for path in came.outputs},
            facts=facts | (came.facts or {}),
            seconds=time.monotonic() - start,
            ended=now(),
        )
        round = round.with_step(kind.name, step)
        write_round(round)
        self._say(round, kind, f"{step.says} ({step.seconds:.0f} s)")
        return round

    def _newest(self) -> tuple[Round, bool]:
        """The round to go on with, and whether it is new: the first one, or a sweep is due."""
        if not self._context.rounds:
            return self._new(None), True
        last = self._context.rounds[-1]
        if last.closed and self._due():
            return self._new(last.until("promote")), True
        return last, False

    def _new(self, before: Round | None) -> Round:
        """A round, with what still holds of the one before."""
        kept = {} if before is None else before.steps
        return Round(
            number=1 if before is None else before.number + 1,
            began=now(),
            cases=self._cases(),
            sweep=self._due(),
            baseline=None if before is None else before.baseline,
            steps={
                name: step.model_copy(update={"seconds": 0.0})
                for name, step in kept.items()
                if step.status == "done" and name != "sweep"
            },
        )

    def _close(self, round: Round) -> Round:
        if not round.statuses:
            path = Path(self._context.settings.cases)
            counts = CaseStore(path).count_statuses() if path.exists() else {}
            round = round.model_copy(
                update={"statuses": {str(key): count for key, count in counts.items()}}
            )
            write_round(round)
        return round

    def _due(self) -> bool:
        """Whether there are so many cases since the last sweep that it is time for another."""
        sweep = self._context.settings.sweep
        swept = [one.cases for one in self._context.rounds if "sweep" in one.steps]
        return (
            sweep is not None and self._cases() - (swept[-1] if swept else 0) >= sweep.every_cases
        )

    def _cases(self) -> int:
        path = Path(self._context.settings.cases)
        return sum(CaseStore(path).count_statuses().values()) if path.exists() else 0

    def _say(self, round: Round, kind: Kind, what: str) -> None:
        self._told.say(f"round {round.number} {kind.name}: {what}")
