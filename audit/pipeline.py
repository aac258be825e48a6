"""One audit, from a corpus to the report on disk.

read → sample → measure → judge → check → decide → report
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from asr_gate.audit.acoustic import AcousticModel, load_model
from asr_gate.audit.acoustic.interface import ModelInfo
from asr_gate.audit.align.times import Delay
from asr_gate.audit.checks import run_rules
from asr_gate.audit.checks.rule import Context
from asr_gate.audit.controls.absolute_thresholds import absolute_thresholds_in_force
from asr_gate.audit.controls.calibrate import calibrate
from asr_gate.audit.controls.plant import plan_controls
from asr_gate.audit.decide.estimate import StratumCount
from asr_gate.audit.decide.outcome import conclude
from asr_gate.audit.decide.sequential import Ending, Look, look
from asr_gate.audit.engine.local import LocalEngine, Progress
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shards, code_version, only_one
from asr_gate.audit.judge import judge
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.excluded import excluded_ids
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import Calibration
from asr_gate.audit.records.report import Tool
from asr_gate.audit.report.build import AuditResult, build
from asr_gate.audit.report.write import write
from asr_gate.audit.sample.plan import Plan, draw
from asr_gate.audit.sample.sequential import SequentialSample
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import Fingerprint, fingerprint
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance
from asr_gate.tracking.system import git_commit

SHARD_BATCHES = 4
"""A shard holds about so many batches: enough to fill them well, few enough to lose little."""


@dataclass(frozen=True)
class Settings:
    """What to audit, and how."""

    name: str
    """The folder of the audit under `out`."""
    out: Path
    aligner: str
    language: str | None
    policy: Policy
    fraction: float
    seed: int
    resume: bool
    device: str
    batch_seconds: Seconds
    until_decided: bool = False
    """Stop when the decision is settled; `fraction` is then the most that is sampled."""


class Interrupted(Exception):
    """The user stopped the audit; the shards so far are kept."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} utterances are measured and kept")


def audit(corpus: Corpus, settings: Settings, progress: Progress) -> AuditResult:
    """Audit a corpus and write its report into `settings.out`/`settings.name`.

    Args:
        corpus: as `asr_gate.corpus` read it.
        settings: what to audit, and how.
        progress: who is told how far it is.

    Raises:
        UserError: nothing to audit, a bad setting, or shards of another audit in the folder.
        Interrupted: by Ctrl-C, with what is kept.
    """
    _require_sense(corpus, settings)
    policy = settings.policy
    folder = settings.out / settings.name
    with only_one(folder):
        torch.set_num_threads(1)  # see asr_gate.audit.acoustic.batching
        model = load_model(settings.aligner, language=settings.language, device=settings.device)
        identity = fingerprint(corpus, audio=policy.gate.audio)
        plan = draw(
            corpus.utterances,
            fraction=settings.fraction,
            seed=settings.seed,
            quotas=policy.sampling.quotas,
            minimum=policy.sampling.minimum,
        )
        length = cache(lambda utterance: stored_duration(utterance) or 0.0)
        judging = _Judging(corpus, identity, policy, model.info)
        shards = Shards(folder)
        ending: Ending | None = None
        if settings.until_decided:
            sample = SequentialSample(corpus.utterances, plan, minimum=policy.sampling.minimum)
            engine = _engine(sample.pool, plan, model, identity, settings, shards, progress)
            measured, ending = _until_decided(engine, sample, judging, settings, length)
            plan = sample.plan()
        else:
            engine = _engine(plan.sample, plan, model, identity, settings, shards, progress)
            measured = _all(engine, _shards(plan.sample, _shard_seconds(settings), length))
        judged = judging.judge(measured)
        outcome = conclude(
            corpus,
            plan,
            judged.rows,
            judged.findings,
            judged.calibration,
            judged.in_force,
            {u.id: length(u) for u in corpus.utterances},
            model.info,
            policy,
            ending,
        )
        result = build(
            corpus,
            plan,
            judged.rows,
            judged.findings,
            judged.calibration,
            judged.in_force,
            outcome,
            model.info,
            judged.delay,
            policy,
            identity,
            Tool(version=version("asr-gate"), git_commit=source_commit()),
        )
        result = write(result, corpus, folder)
        shards.remove()
    return result


def _require_sense(corpus: Corpus, settings: Settings) -> None:
    if not corpus.utterances:
        first = corpus.skipped[0]
        raise UserError(
            f"{first.origin}: {first.reason} (and so with all {len(corpus.skipped)} rows); "
            "nothing is left to audit"
        )
    if settings.until_decided and settings.policy.decision.correct_for_controls:
        raise UserError(
            "--until-decided stops by the share of findings, while decision.correct_for_controls "
            "of the policy decides on another; leave out one of them"
        )


# Measuring


def _engine(
    pool: Sequence[Utterance],
    plan: Plan,
    model: AcousticModel,
    identity: Fingerprint,
    settings: Settings,
    shards: Shards,
    progress: Progress,
) -> LocalEngine:
    """The engine that measures utterances of the pool, with controls planted in them.

    Raises:
        UserError: shards are there, and must not or cannot be resumed.
    """
    per_kind = settings.policy.controls.per_kind
    key = {
        "dataset": identity.digest,
        "sample": [u.id for u in pool],
        "aligner": [model.info.name, model.info.weights_sha256, settings.language],
        "device": settings.device,
        "measuring code": code_version(),
        "controls": per_kind,
        "seed": settings.seed,
        "batch_seconds": settings.batch_seconds,
        "until_decided": settings.until_decided,
    }
    shards.begin(key, resume=settings.resume)
    transcripts = {u.id: model.spell(u.text, u.lang) for u in pool}
    # Nobody knows then how many will be sampled: each carries its controls.
    planted = len(pool) if settings.until_decided and per_kind else per_kind
    plantings = plan_controls(pool, transcripts, per_kind=planted, seed=settings.seed)
    measurer = Measurer(model, transcripts, plantings, settings.batch_seconds)
    return LocalEngine(measurer, shards, progress, len(plan.sample))


def _all(engine: LocalEngine, shards: Iterator[list[Utterance]]) -> list[Measured]:
    """The measurements of all shards."""
    try:
        return [row for measured in engine.run(shards) for row in measured]
    except KeyboardInterrupt as interrupt:
        raise Interrupted(engine.done, engine.total) from interrupt
    finally:
        engine.stop()


def _until_decided(
    engine: LocalEngine,
    sample: SequentialSample,
    judging: _Judging,
    settings: Settings,
    length: Callable[[Utterance], Seconds],
) -> tuple[list[Measured], Ending]:
    """Measure shard after shard until a look at all of them settles the decision."""
    rows: list[Measured] = []
    looks: list[Look] = []
    seconds = _shard_seconds(settings)
    try:
        while shard := sample.next_shard(looks[-1].open if looks else (), seconds, length):
            rows += [row for measured in engine.run([shard]) for row in measured]
            if sample.schedule.started:
                counts = judging.counts(rows, sample.schedule.populations)
                looks.append(look(counts, settings.policy.decision))
                if looks[-1].settled:
                    break
    except KeyboardInterrupt as interrupt:
        raise Interrupted(engine.done, engine.total) from interrupt
    finally:
        engine.stop()
    return rows, Ending(looks[-1], len(looks), sample.schedule.budget)


def _shard_seconds(settings: Settings) -> Seconds:
    return SHARD_BATCHES * settings.batch_seconds


def _shards(
    sample: Sequence[Utterance], seconds: Seconds, length: Callable[[Utterance], Seconds]
) -> Iterator[list[Utterance]]:
    """The sample in shards of about so much audio, in its order; the plan alone decides them."""
    shard: list[Utterance] = []
    total = 0.0
    for utterance in sample:
        shard.append(utterance)
        total += length(utterance)
        if total >= seconds:
            yield shard
            shard, total = [], 0.0
    if shard:
        yield shard


# Judging


@dataclass(frozen=True)
class _JudgedSample:
    """All sampled utterances, judged beside each other and checked by the rules."""

    rows: list[Judged]
    """By domain, then by id."""
    findings: list[Finding]
    calibration: Calibration
    in_force: dict[str, frozenset[str]]
    """By domain, the absolute thresholds in force."""
    delay: Delay


class _Judging:
    """Judges what was measured so far of one corpus."""

    def __init__(
        self, corpus: Corpus, identity: Fingerprint, policy: Policy, model: ModelInfo
    ) -> None:
        self._corpus = corpus
        self._identity = identity
        self._policy = policy
        self._model = model
        self._origins = corpus.places()

    def judge(self, rows: Sequence[Measured], *, errors_only: bool = False) -> _JudgedSample:
        """Calibrate on the controls, judge every row, and run the rules.

        Args:
            rows: as measured, in any order.
            errors_only: run only rules that may exclude a row.
        """
        policy = self._policy
        ordered = sorted(rows, key=lambda row: (row.domain, row.id))
        calibration = calibrate(
            ordered, false_alarm=policy.controls.false_alarm, floors=policy.controls.floors()
        )
        judged, delay = judge(ordered, calibration, self._model.delay)
        in_force = absolute_thresholds_in_force(judged, calibration, policy)
        context = Context(
            policy=policy,
            corpus=self._corpus,
            content=self._identity.content,
            origins=self._origins,
            language=self._model.language,
            calibration=calibration,
            absolute_thresholds=in_force,
        )
        findings = list(run_rules(judged, context, errors_only=errors_only))
        return _JudgedSample(judged, findings, calibration, in_force, delay)

    def counts(
        self, rows: Sequence[Measured], populations: Mapping[str, int]
    ) -> dict[str, StratumCount]:
        """How many were sampled in each domain, and how many of them are of low quality."""
        judged = self.judge(rows, errors_only=True)
        low = excluded_ids(judged.findings)
        sampled = Counter(row.domain for row in judged.rows)
        bad = Counter(row.domain for row in judged.rows if row.id in low)
        return {d: StratumCount(n, sampled[d], bad[d]) for d, n in populations.items()}


def source_commit() -> str | None:
    """Commit of the source tree that runs; None where this is an installed package."""
    tree = Path(__file__).parents[2]
    return git_commit(tree) if (tree / ".git").exists() else None
