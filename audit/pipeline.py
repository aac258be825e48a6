"""One audit, from a corpus to the report on disk.

read → sample → measure → judge → check → decide → report
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from asr_gate.audit.acoustic import AcousticModel
from asr_gate.audit.adapt.adapt import Adapted, adapt
from asr_gate.audit.decide.outcome import (
    conclude,
    measured_strata,
    pooled_power,
    stratum_counts,
)
from asr_gate.audit.decide.sequential import Ending, Look, look
from asr_gate.audit.engine.ledger import Ledger, Progress
from asr_gate.audit.engine.local import Engine, LocalEngine
from asr_gate.audit.engine.on_ray import RayEngine, connected
from asr_gate.audit.engine.parts import Parts, only_one
from asr_gate.audit.engine.shards import BATCHES, Shard, Share
from asr_gate.audit.judge import SampleJudge
from asr_gate.audit.opinion.ask import second_opinion
from asr_gate.audit.pairing.search import TextSearch
from asr_gate.audit.prepare import Prepared, Settings, prepare
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import MIN_PLANTED
from asr_gate.audit.records.report import Report, Tool
from asr_gate.audit.report.build import AuditResult, build, with_adaptation, with_opinion
from asr_gate.audit.report.write import write
from asr_gate.audit.sample.sequential import SequentialSample
from asr_gate.corpus.cache import open_cache
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Corpus, Utterance
from asr_gate.tracking.git import git_commit

__all__ = ["Interrupted", "Settings", "ShareDone", "audit", "audit_share"]

SHOWN = 5
"""Shares that a message names."""


class Interrupted(Exception):
    """The user stopped the audit; what is measured is kept."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} utterances are measured and kept")


def audit(
    corpus: Corpus,
    settings: Settings,
    progress: Progress,
    page: Callable[[Report], object] = lambda report: None,
) -> AuditResult:
    """Audit a corpus and write its report into `settings.out`/`settings.name`.

    Args:
        corpus: as `asr_gate.corpus` read it.
        settings: what to audit, and how.
        progress: who is told how far it is.
        page: writes the page of the report, before the report itself is written.

    Raises:
        UserError: nothing to audit, a bad setting, parts of another audit in the folder, or, with
            `settings.merge`, shards that are not measured.
        Interrupted: by Ctrl-C, with what is kept.
    """
    folder = settings.out / settings.name
    with only_one(folder), connected(settings.ray), ExitStack() as stack:
        prepared = prepare(corpus, settings, progress)
        search = stack.enter_context(prepared.search(progress.say))
        plan, model, policy = prepared.plan, prepared.model, settings.policy
        judge = SampleJudge(corpus, prepared.identity, policy, model.info, search.searched)
        parts = Parts(folder, shared=settings.merge)
        adapted: Adapted | None = None
        ending: Ending | None = None
        sample: SequentialSample | None = None
        if settings.until_decided:
            minimum = min(policy.sampling.minimum, MIN_PLANTED)
            sample = SequentialSample(corpus.utterances, plan, minimum=minimum)
        pool = plan.sample if sample is None else sample.pool
        ledger = _ledger(prepared, model, pool, len(plan.sample), parts, progress)
        with _kept_on_interrupt(ledger):
            if settings.merge:
                _require_all(prepared, ledger, parts, progress)
                measured = [ledger.rows[u.id] for u in plan.sample]
            else:
                with _engine(prepared, model, pool, search, ledger, progress) as engine:
                    if sample is None:
                        measured = engine.measure(prepared.shards(plan.sample))
                    else:
                        measured, ending = _until_decided(engine, sample, judge, prepared)
                        plan = sample.plan()
            if prepared.base is not None:
                adapted = adapt(
                    prepared.base,
                    judge.judge(measured),
                    plan.sample,
                    prepared.identity,
                    lengths=prepared.lengths,
                    minutes=settings.adapt or 0.0,
                    seed=settings.seed,
                    keep=parts.folder,
                    say=progress.say,
                )
                measured = _second_pass(adapted, prepared, search, parts, progress)
            judged = judge.judge(measured)
            outcome = conclude(corpus, plan, judged, prepared.lengths, model.info, policy, ending)
            tool = Tool(version=version("asr-gate"), git_commit=source_commit())
            result = build(
                corpus, plan, judged, outcome, model.info, policy, prepared.identity, tool
            )
            if settings.second_opinion:
                progress.say("asks the strict aligner for its opinion")
                found = second_opinion(
                    model,
                    result.rows,
                    result.findings,
                    corpus,
                    prepared.identity,
                    settings.batch_seconds,
                )
                result = with_opinion(result, found)
            if adapted is not None:
                summary = adapted.summary(policy.decision.confidence)
                result = with_adaptation(result, summary, adapted.folds.of)
            result = write(result, corpus, folder, page)
        if not settings.merge:  # whoever shared an audit may want to merge it again
            parts.remove()
    return result


@dataclass(frozen=True)
class ShareDone:
    """What one of the processes that share an audit has measured."""

    share: Share
    utterances: int
    """All of the share."""
    new: int
    """Those that this run measured."""
    folder: Path
    """Where the parts lie."""


def audit_share(corpus: Corpus, settings: Settings, progress: Progress) -> ShareDone:
    """Measure `settings.share` of an audit, for `audit` with `settings.merge` to make the report.

    Raises:
        UserError: as for `audit`, or another process measures this share.
        Interrupted: by Ctrl-C, with what is kept.
    """
    share = settings.share or Share(1, 1)
    prepared = prepare(corpus, settings, progress)
    pool, model = prepared.plan.sample, prepared.model
    own = [shard for shard in prepared.shards(pool) if share.has(shard)]
    total = sum(len(shard.rows) for shard in own)
    parts = Parts(settings.out / settings.name, shared=True)
    ids = {row.id for shard in own for row in shard.rows}
    ledger = _ledger(prepared, model, pool, total, parts, progress, share, ids)
    with (
        parts.claimed(share),
        prepared.search(progress.say) as search,
        _kept_on_interrupt(ledger),
        _engine(prepared, model, pool, search, ledger, progress) as engine,
    ):
        engine.measure(own)
    return ShareDone(share, total, ledger.new, parts.folder)


def _ledger(
    prepared: Prepared,
    model: AcousticModel,
    pool: Sequence[Utterance],
    total: int,
    parts: Parts,
    progress: Progress,
    share: Share | None = None,
    ids: Container[str] | None = None,
) -> Ledger:
    """The ledger of what is measured of a pool, with what is on disk.

    Args:
        ids: utterances of which it is read; None: of the pool.

    Raises:
        UserError: parts are there, and must not or cannot be resumed.
    """
    settings = prepared.settings
    shares = share.of if share else parts.shares() if settings.merge else None
    parts.begin(
        prepared.key(model, pool, shares),
        resume=settings.resume or settings.merge or share is not None,
    )
    kept = parts.read({u.id for u in pool} if ids is None else ids)
    return Ledger(parts, kept, progress, total)


@contextmanager
def _engine(
    prepared: Prepared,
    model: AcousticModel,
    pool: Sequence[Utterance],
    search: TextSearch,
    ledger: Ledger,
    progress: Progress,
) -> Iterator[Engine]:
    """What measures a pool; it is stopped at the end."""
    # Sampled digests do not tell whether audio is what was measured once; and what is measured by
    # models that an audit trained for itself, no later audit needs.
    use_cache = (
        prepared.settings.cache
        and not prepared.settings.ray
        and prepared.identity.audio == "full"
        and model is prepared.model
    )
    cache = open_cache(progress.say) if use_cache else None
    work, ray = prepared.work(model, pool, search), prepared.settings.ray
    engine: Engine = (
        RayEngine(ray, prepared.setup(ray.gpus), work, ledger, progress)
        if ray
        else LocalEngine(work.measurer(model, cache), ledger)
    )
    try:
        yield engine
        if engine.from_cache:
            new = ledger.new - engine.from_cache
            progress.say(f"measured {new}, kept {engine.from_cache} from earlier audits")
    finally:
        engine.stop()
    if cache is not None and cache.trouble:
        progress.say(f"not all is kept for later audits: {cache.trouble}")


@contextmanager
def _kept_on_interrupt(ledger: Ledger) -> Iterator[None]:
    """On Ctrl-C, keep what is measured, and do not wait for what is under way.

    Raises:
        Interrupted: in place of Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        ledger.write()
        raise Interrupted(len(ledger.rows), ledger.total) from interrupt


def _require_all(prepared: Prepared, ledger: Ledger, parts: Parts, progress: Progress) -> None:
    """Refuse to merge what is not measured, and say what the report would hide.

    Raises:
        UserError: utterances are missing; it names the shares that have them.
    """
    shares = parts.shares()
    missing: Counter[int] = Counter()
    for shard in prepared.shards(prepared.plan.sample):
        missing[shard.number % shares + 1] += shard.missing(ledger.rows)
    if lacking := [f"--shard {n}/{shares}" for n in range(1, shares + 1) if missing[n]]:
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        raise UserError(
            f"{parts.folder}: {missing.total()} of {ledger.total} utterances are not measured; "
            f"run the audit with {', '.join(lacking[:SHOWN])}{more}, and then merge"
        )
    if len(parts.kinds) > 1:
        progress.say(
            f"WARNING: {len(parts.kinds)} kinds of processors measured this, which compute other "
            "last digits: another run may end with another digest"
        )


def _second_pass(
    adapted: Adapted,
    prepared: Prepared,
    search: TextSearch,
    parts: Parts,
    progress: Progress,
) -> list[Measured]:
    """Measure the sample again, with the same controls in it, each fold by its own model.

    Raises:
        Interrupted: by Ctrl-C, with what is kept.
    """
    measured: list[Measured] = []
    pool = prepared.plan.sample
    for number, fold in enumerate(adapted.models):
        rows = [u for u in pool if adapted.folds.of[u.id] == number]
        part = parts.part(f"fold-{number}")
        ledger = _ledger(prepared, fold.model, pool, len(rows), part, progress)
        with (
            _kept_on_interrupt(ledger),
            _engine(prepared, fold.model, pool, search, ledger, progress) as engine,
        ):
            measured += engine.measure(prepared.shards(rows))
    return measured


def _until_decided(
    engine: Engine, sample: SequentialSample, judge: SampleJudge, prepared: Prepared
) -> tuple[list[Measured], Ending]:
    """Measure group after group until a look at all of them settles the decision."""
    rows: list[Measured] = []
    looks: list[Look] = []
    settings = prepared.settings
    seconds = BATCHES * settings.batch_seconds
    while group := sample.next_group(looks[-1].open if looks else (), seconds, prepared.lengths):
        rows += engine.measure([Shard(len(looks), group)])
        if sample.schedule.started:
            judged = judge.judge(rows, errors_only=True)
            counts = stratum_counts(judged, sample.schedule.populations)
            strata = measured_strata(counts, judged)
            power = pooled_power(strata, judged.calibration)
            looks.append(look(strata, power, settings.policy))
            if looks[-1].settled:
                break
    return rows, Ending(looks[-1], len(looks), sample.schedule.budget)


def source_commit() -> str | None:
    """Commit of the source tree that runs; None where this is an installed package."""
    tree = Path(__file__).parents[2]
    return git_commit(tree) if (tree / ".git").exists() else None
