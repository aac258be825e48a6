"""One audit on one machine, from a corpus to the report on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import torch

from audit.acoustic import AcousticModel, load_model
from audit.checks import run_rules
from audit.checks.rule import Context
from audit.controls.calibrate import calibrate
from audit.controls.figures import figures_that_count
from audit.controls.plant import plan_controls
from audit.engine.judge import judge
from audit.engine.measure import Measurer
from audit.engine.parts import Parts, only_one
from audit.gate.policy import Policy
from audit.measured import Measured
from audit.plan import Plan, draw
from audit.report.build import Aligned, AuditResult, build
from audit.report.write import write
from corpus.errors import UserError
from corpus.fingerprint import Fingerprint, fingerprint
from corpus.speech.audio import stored_duration
from corpus.utterance import Corpus, Seconds, Utterance

PART_BATCHES = 4
"""A part holds about so many batches: enough to fill them well, few enough to lose little."""


class Progress(Protocol):
    """Who is told how far the audit is."""

    def start(self, total: int, done: int) -> None:
        """The audit has `total` utterances, of which `done` are there from an earlier run."""

    def advance(self, utterances: int, seconds: Seconds) -> None:
        """So many more utterances and seconds of audio are measured."""


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
    controls: int
    """Planted defects of each kind."""


class Interrupted(Exception):
    """The user stopped the audit; the parts so far are kept."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} utterances are measured and kept")


def audit(corpus: Corpus, settings: Settings, progress: Progress) -> AuditResult:
    """Audit a corpus and write its report into `settings.out`/`settings.name`.

    Raises:
        UserError: nothing to audit, a bad setting, or parts of another audit in the folder.
        Interrupted: by Ctrl-C, with what is kept.
    """
    if not corpus.utterances:
        first = corpus.skipped[0]
        raise UserError(
            f"{first.origin}: {first.reason} (and so with all {len(corpus.skipped)} rows); "
            "nothing is left to audit"
        )
    folder = settings.out / settings.name
    with only_one(folder):
        torch.set_num_threads(1)  # see audit.acoustic.batching
        model = load_model(settings.aligner, language=settings.language, device=settings.device)
        prints = fingerprint(corpus)
        plan = draw(
            corpus.utterances,
            fraction=settings.fraction,
            seed=settings.seed,
            quotas=settings.policy.sampling.quotas,
            minimum=settings.policy.sampling.minimum,
        )
        origins = corpus.places()
        rows = [
            replace(row, origin=origins[row.id])
            for row in _run(plan, model, prints, settings, Parts(folder), progress)
        ]
        sight = calibrate(
            rows,
            false_alarm=settings.policy.controls.false_alarm,
            floors=settings.policy.controls.floors(),
        )
        rows, delay = judge(rows, sight, model.info.delay)
        figures = figures_that_count(rows, sight, settings.policy)
        context = Context(
            settings.policy, prints.content, origins, model.info.language, sight, figures
        )
        result = build(
            corpus,
            plan,
            rows,
            list(run_rules(rows, context)),
            Aligned(model.info, delay),
            sight,
            figures,
            settings.policy,
            prints,
        )
        result = write(result, folder)
        Parts(folder).remove()
    return result


def _run(
    plan: Plan,
    model: AcousticModel,
    prints: Fingerprint,
    settings: Settings,
    parts: Parts,
    progress: Progress,
) -> list[Measured]:
    """The measurements of the whole plan, from parts that are there and parts that are made now."""
    key = {
        "dataset": prints.digest,
        "sample": [u.id for u in plan.sample],
        "aligner": [model.info.name, model.info.weights_sha256, settings.language],
        "device": settings.device,
        "tool": version("asr-gate"),
        "controls": settings.controls,
        "seed": settings.seed,
        "batch_seconds": settings.batch_seconds,
    }
    parts.begin(key, resume=settings.resume)
    pieces = list(_pieces(plan.sample, PART_BATCHES * settings.batch_seconds))
    done = [parts.read(n, [u.id for u in piece]) for n, piece in enumerate(pieces)]
    progress.start(len(plan.sample), sum(len(rows) for rows in done if rows is not None))
    transcripts = {u.id: model.spell(u.text, u.lang) for u in plan.sample}
    plantings = plan_controls(
        plan.sample, transcripts, per_kind=settings.controls, seed=settings.seed
    )
    measurer = Measurer(model, transcripts, plantings, settings.batch_seconds)

    def finish(number: int, wait: Callable[[], list[Measured]]) -> None:
        rows = wait()
        parts.write(number, rows)
        done[number] = rows
        progress.advance(len(rows), sum(row.duration for row in rows))

    try:
        ahead: tuple[int, Callable[[], list[Measured]]] | None = None
        for number, piece in enumerate(pieces):
            if done[number] is None:
                started = measurer.start(piece)
                if ahead is not None:
                    finish(*ahead)
                ahead = number, started
        if ahead is not None:
            finish(*ahead)
    except KeyboardInterrupt as interrupt:
        kept = sum(len(rows) for rows in done if rows is not None)
        raise Interrupted(kept, len(plan.sample)) from interrupt
    finally:
        measurer.stop()
    return [row for rows in done if rows is not None for row in rows]


def _pieces(sample: Sequence[Utterance], seconds: Seconds) -> Iterator[list[Utterance]]:
    """The sample in pieces of about so much audio, in its order; the plan alone decides them."""
    piece: list[Utterance] = []
    length = 0.0
    for utterance in sample:
        piece.append(utterance)
        length += stored_duration(utterance) or 0.0
        if length >= seconds:
            yield piece
            piece, length = [], 0.0
    if piece:
        yield piece
