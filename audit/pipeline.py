"""One audit, from a corpus to the report on disk.

read → sample → measure → judge → check → decide → report
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from asr_gate.audit.acoustic import AcousticModel, load_model
from asr_gate.audit.acoustic.interface import Precision
from asr_gate.audit.adapt.adapt import Adapted, adapt, require_adaptable
from asr_gate.audit.controls.plant import plan_controls
from asr_gate.audit.decide.outcome import (
    conclude,
    measured_strata,
    pooled_power,
    stratum_counts,
)
from asr_gate.audit.decide.sequential import Ending, Look, look
from asr_gate.audit.engine.local import LocalEngine, Progress
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.shards import Shards, code_version, only_one
from asr_gate.audit.judge import SampleJudge
from asr_gate.audit.pairing.search import TextSearch, compared, said
from asr_gate.audit.pairing.texts import text_file
from asr_gate.audit.policy import Policy
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.power import MIN_PLANTED
from asr_gate.audit.records.report import Tool
from asr_gate.audit.report.build import AuditResult, build, with_adaptation
from asr_gate.audit.report.write import write
from asr_gate.audit.sample.lot import lot
from asr_gate.audit.sample.plan import Plan, draw
from asr_gate.audit.sample.sequential import SequentialSample
from asr_gate.corpus.cache import Cache, open_cache
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import Fingerprint, fingerprint
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance
from asr_gate.tracking.git import git_commit

GROUP_BATCHES = 4
"""A group holds utterances for about so many batches: enough to fill them well."""


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
    cache: bool = True
    """Whether measurements of earlier audits are used, and kept for later ones."""
    adapt: float | None = None
    """Minutes of one core to train the aligner for this corpus; None: it stays as it is."""
    until_decided: bool = False
    """Stop when the decision is settled; `fraction` is then the most that is sampled."""
    texts: tuple[Path, ...] = ()
    """Files of texts that are searched beside those of the corpus, for rows that say another's."""
    precision: Precision = "auto"
    """Of the acoustic model's matrix products."""

    def __post_init__(self) -> None:
        # A name is a folder of its own under `out`, whoever gives it.
        if not re.fullmatch(r"[\w+-][\w .+-]*", self.name):
            raise UserError(
                f"--name {self.name!r}: letters, digits, and . + - _ only; see asr audit --help"
            )
        if self.adapt is not None and self.until_decided:
            raise UserError(
                "--adapt judges all rows a second time, and --until-decided stops before all are "
                "judged; leave out one of them"
            )


class Interrupted(Exception):
    """The user stopped the audit; what is measured is kept."""

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
    with only_one(folder), ExitStack() as stack:
        files = [text_file(path) for path in settings.texts]
        model = load_model(
            settings.aligner,
            language=settings.language,
            device=settings.device,
            precision=settings.precision,
        )
        base = None if settings.adapt is None else require_adaptable(model)
        identity = fingerprint(corpus, audio=policy.gate.audio)
        _require_audio(corpus, identity)
        if model.info.trained is not None and model.info.trained.dataset == identity.digest:
            progress.say(
                f"WARNING: {model.info.name} was trained on this very corpus, and has learnt its "
                "wrong texts too; audit it with another aligner"
            )
        plan = draw(
            corpus.utterances,
            fraction=settings.fraction,
            seed=settings.seed,
            quotas=policy.sampling.quotas,
            minimum=policy.sampling.minimum,
            content=identity.digest,
        )
        progress.say(_first_line(corpus, plan, model, settings))
        lengths = _lengths(corpus)
        search = TextSearch(
            model,
            corpus,
            files,
            made_by=code_version(),
            keep=settings.cache,
            say=progress.say,
        )
        stack.callback(search.close)
        judge = SampleJudge(corpus, identity, policy, model.info, search.searched)
        shards = Shards(folder)
        adapted: Adapted | None = None
        ending: Ending | None = None
        sample: SequentialSample | None = None
        if settings.until_decided:
            minimum = min(policy.sampling.minimum, MIN_PLANTED)
            sample = SequentialSample(corpus.utterances, plan, minimum=minimum)
        pool = plan.sample if sample is None else sample.pool
        # Sampled digests do not tell whether audio is what was measured once.
        use_cache = settings.cache and identity.audio == "full"
        cache = open_cache(progress.say) if use_cache else None
        engine = _engine(
            search, pool, len(plan.sample), model, identity, settings, shards, cache, progress
        )
        with _kept_on_interrupt(engine):
            if sample is not None:
                measured, ending = _until_decided(engine, sample, judge, settings, lengths)
                plan = sample.plan()
            else:
                groups = _groups(plan.sample, _group_seconds(settings), lengths)
                measured = [row for rows in engine.run(groups) for row in rows]
            if engine.from_cache:
                progress.say(f"measured {engine.new}, kept {engine.from_cache} from earlier audits")
            if base is not None:
                adapted = adapt(
                    base,
                    judge.judge(measured),
                    plan.sample,
                    identity,
                    lengths=lengths,
                    minutes=settings.adapt or 0.0,
                    seed=settings.seed,
                    keep=shards.folder,
                    say=progress.say,
                )
                measured = _second_pass(
                    adapted, search, plan, lengths, identity, settings, shards, progress
                )
            judged = judge.judge(measured)
            outcome = conclude(corpus, plan, judged, lengths, model.info, policy, ending)
            tool = Tool(version=version("asr-gate"), git_commit=source_commit())
            result = build(corpus, plan, judged, outcome, model.info, policy, identity, tool)
            if adapted is not None:
                summary = adapted.summary(policy.decision.confidence)
                result = with_adaptation(result, summary, adapted.folds.of)
            result = write(result, corpus, folder)
        if cache is not None and cache.trouble:
            progress.say(f"not all is kept for later audits: {cache.trouble}")
        shards.remove()
    return result


def _first_line(corpus: Corpus, plan: Plan, model: AcousticModel, settings: Settings) -> str:
    """Aligner, language, device, and how much is sampled."""
    rows = "their own" if model.info.language == "mul" else model.info.language
    most = "at most " if settings.until_decided else ""
    return (
        f"aligner {settings.aligner}, language {settings.language or rows}, on {model.device}: "
        f"aligns {most}{len(plan.sample)} of {len(corpus.utterances)} utterances"
    )


def _require_audio(corpus: Corpus, identity: Fingerprint) -> None:
    """Refuse a corpus of which no audio is there: it lies elsewhere, and is not bad."""
    first = corpus.utterances[0]
    if isinstance(first.audio, Path) and all(one == "missing" for one in identity.sounds.values()):
        raise UserError(
            f"{first.origin}: {first.audio} is not there, and neither is any other audio of these "
            f"{len(corpus.utterances)} rows; copy it there, or correct the paths"
        )


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


def _lengths(corpus: Corpus) -> dict[str, Seconds]:
    """Lengths of all utterances by manifest or header; 0: unreadable."""
    decoder = Decoder()
    try:
        return {u.id: decoder.stored_duration(u) or 0.0 for u in corpus.utterances}
    finally:
        decoder.stop()


def _engine(
    search: TextSearch,
    pool: Sequence[Utterance],
    total: int,
    model: AcousticModel,
    identity: Fingerprint,
    settings: Settings,
    shards: Shards,
    cache: Cache | None,
    progress: Progress,
) -> LocalEngine:
    """The engine that measures so many utterances of the pool, with controls planted in them.

    Raises:
        UserError: shards are there, and must not or cannot be resumed.
    """
    per_kind = settings.policy.controls.per_kind
    key = {
        "dataset": identity.digest,
        "texts": [file.sha256 for file in search.searched],
        "sample": [u.id for u in pool],
        "aligner": [model.info.name, model.info.weights_sha256, settings.language],
        "device": settings.device,
        "precision": model.info.precision,
        "measuring code": code_version(),
        "controls": per_kind,
        "seed": settings.seed,
        "batch_seconds": settings.batch_seconds,
        "until_decided": settings.until_decided,
    }
    shards.begin(key, resume=settings.resume)
    # Tags and notes of sounds are not said: the rules speak of them, the aligner passes them over.
    transcripts = {u.id: model.spell(said(u.text), u.lang) for u in pool}
    # Nobody knows then how many will be sampled: each carries its controls.
    planted = len(pool) if settings.until_decided and per_kind else per_kind
    plantings = plan_controls(pool, transcripts, per_kind=planted, seed=settings.seed)
    measurer = Measurer(
        model,
        transcripts,
        plantings,
        settings.batch_seconds,
        identity,
        cache,
        search,
        compared(transcripts, settings.seed),
    )
    kept = shards.read(transcripts)
    return LocalEngine(measurer, shards, kept, progress, total)


@contextmanager
def _kept_on_interrupt(engine: LocalEngine) -> Iterator[None]:
    """On Ctrl-C, keep what is measured, and do not wait for what is under way.

    Raises:
        Interrupted: in place of Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        engine.keep()
        raise Interrupted(engine.done, engine.total) from interrupt
    finally:
        engine.stop()


def _second_pass(
    adapted: Adapted,
    search: TextSearch,
    plan: Plan,
    lengths: Mapping[str, Seconds],
    identity: Fingerprint,
    settings: Settings,
    shards: Shards,
    progress: Progress,
) -> list[Measured]:
    """Measure the sample again, with the same controls in it, each fold by its own model.

    Raises:
        Interrupted: by Ctrl-C, with what is kept.
    """
    measured: list[Measured] = []
    for number, fold in enumerate(adapted.models):
        rows = [u for u in plan.sample if adapted.folds.of[u.id] == number]
        part = shards.part(f"fold-{number}")
        # What its own models measure, no later audit needs.
        engine = _engine(
            search, plan.sample, len(rows), fold.model, identity, settings, part, None, progress
        )
        with _kept_on_interrupt(engine):
            groups = _groups(rows, _group_seconds(settings), lengths)
            measured += [row for found in engine.run(groups) for row in found]
    return measured


def _until_decided(
    engine: LocalEngine,
    sample: SequentialSample,
    judge: SampleJudge,
    settings: Settings,
    lengths: Mapping[str, Seconds],
) -> tuple[list[Measured], Ending]:
    """Measure group after group until a look at all of them settles the decision."""
    rows: list[Measured] = []
    looks: list[Look] = []
    seconds = _group_seconds(settings)
    while group := sample.next_group(looks[-1].open if looks else (), seconds, lengths):
        rows += [row for measured in engine.run([group]) for row in measured]
        if sample.schedule.started:
            judged = judge.judge(rows, errors_only=True)
            counts = stratum_counts(judged, sample.schedule.populations)
            strata = measured_strata(counts, judged)
            power = pooled_power(strata, judged.calibration)
            looks.append(look(strata, power, settings.policy))
            if looks[-1].settled:
                break
    return rows, Ending(looks[-1], len(looks), sample.schedule.budget)


def _group_seconds(settings: Settings) -> Seconds:
    return GROUP_BATCHES * settings.batch_seconds


def _groups(
    sample: Sequence[Utterance], seconds: Seconds, lengths: Mapping[str, Seconds]
) -> Iterator[list[Utterance]]:
    """The sample in groups of about so much audio, in its order; the plan alone decides them.

    Groups end at ids drawn by lot, so that a row more or less changes its own group alone: on a GPU
    what a group holds decides its batches.
    """
    group: list[Utterance] = []
    total = 0.0
    for utterance in sample:
        group.append(utterance)
        total += lengths[utterance.id]
        drawn = lot("end of a group", utterance.id) % 8 == 0
        if total >= 2 * seconds or (drawn and total >= seconds / 2):
            yield group
            group, total = [], 0.0
    if group:
        yield group


def source_commit() -> str | None:
    """Commit of the source tree that runs; None where this is an installed package."""
    tree = Path(__file__).parents[2]
    return git_commit(tree) if (tree / ".git").exists() else None
