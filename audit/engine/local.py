"""One audit on one machine, from a corpus to the report on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import torch

from asr_gate.audit.acoustic import AcousticModel, load_model
from asr_gate.audit.controls.plant import plan_controls
from asr_gate.audit.engine.assess import Assessor
from asr_gate.audit.engine.measure import Measurer
from asr_gate.audit.engine.parts import Parts, only_one
from asr_gate.audit.engine.until import Deciding
from asr_gate.audit.gate.policy import Policy
from asr_gate.audit.measured import Measured
from asr_gate.audit.plan import draw
from asr_gate.audit.report.build import AuditResult, build
from asr_gate.audit.report.write import write
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import Fingerprint, fingerprint
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

PART_BATCHES = 4
"""A part holds about so many batches: enough to fill them well, few enough to lose little."""


class Progress(Protocol):
    """Who is told how far the audit is."""

    def start(self, total: int, done: int) -> None:
        """The audit has at most `total` utterances, of which `done` are there from an earlier
        run."""

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
    until_decided: bool = False
    """Stop when the decision is settled; `fraction` is then the most that is heard."""


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
    policy = settings.policy
    if settings.until_decided and policy.decision.correct_for_controls:
        raise UserError(
            "--until-decided stops by the share of findings, while decision.correct_for_controls "
            "of the policy decides on another; leave out one of them"
        )
    folder = settings.out / settings.name
    with only_one(folder):
        torch.set_num_threads(1)  # see audit.acoustic.batching
        model = load_model(settings.aligner, language=settings.language, device=settings.device)
        prints = fingerprint(corpus, audio=policy.gate.audio)
        plan = draw(
            corpus.utterances,
            fraction=settings.fraction,
            seed=settings.seed,
            quotas=policy.sampling.quotas,
            minimum=policy.sampling.minimum,
        )
        assessor = Assessor(corpus, prints, policy, model.info)
        seconds = PART_BATCHES * settings.batch_seconds
        rows: list[Measured] = []
        deciding: Deciding | None = None
        if settings.until_decided:
            deciding = Deciding(corpus, plan, assessor, policy, rows, seconds)
            pool, pieces = deciding.pool, deciding.pieces()
        else:
            pool, pieces = plan.sample, _pieces(plan.sample, seconds)
        hearing = _Hearing(pool, len(plan.sample), model, prints, settings, Parts(folder), progress)
        hearing.hear(pieces, rows)
        assessed = assessor.assess(rows)
        ended = None
        if deciding is not None:
            plan, ended = deciding.plan(), deciding.ended
        result = build(corpus, plan, assessed, model.info, policy, prints, ended)
        result = write(result, corpus, folder)
        Parts(folder).remove()
    return result


class _Hearing:
    """Measures pieces of the corpus, and keeps them as parts on disk."""

    def __init__(
        self,
        pool: Sequence[Utterance],
        most: int,
        model: AcousticModel,
        prints: Fingerprint,
        settings: Settings,
        parts: Parts,
        progress: Progress,
    ) -> None:
        """Begin, or go on with the parts that are there.

        Args:
            pool: what may be heard.
            most: how many of them, at most.
            model: the acoustic model.
            prints: of the corpus.
            settings: of the audit.
            parts: where they are kept.
            progress: who is told.
        """
        key = {
            "dataset": prints.digest,
            "sample": [u.id for u in pool],
            "aligner": [model.info.name, model.info.weights_sha256, settings.language],
            "device": settings.device,
            "tool": version("asr-gate"),
            "controls": settings.policy.controls.per_kind,
            "seed": settings.seed,
            "batch_seconds": settings.batch_seconds,
            "until_decided": settings.until_decided,
        }
        parts.begin(key, resume=settings.resume)
        transcripts = {u.id: model.spell(u.text, u.lang) for u in pool}
        # How many will be heard nobody knows then: each carries its controls.
        per_kind = (
            len(pool)
            if settings.until_decided and settings.policy.controls.per_kind
            else settings.policy.controls.per_kind
        )
        plantings = plan_controls(pool, transcripts, per_kind=per_kind, seed=settings.seed)
        self._measurer = Measurer(model, transcripts, plantings, settings.batch_seconds)
        # One piece is aligned while the next is decoded, unless what it says decides the next.
        self._ahead = not settings.until_decided
        self._parts = parts
        self._progress = progress
        self._most = most

    def hear(self, pieces: Iterable[list[Utterance]], rows: list[Measured]) -> None:
        """Measure piece after piece, in order, from parts that are there or anew.

        Args:
            pieces: of the pool; may look at `rows` to choose the next.
            rows: where the measurements go.

        Raises:
            Interrupted: by Ctrl-C.
        """
        waiting: tuple[int, Callable[[], list[Measured]]] | None = None
        begun = False

        def finish() -> None:
            nonlocal waiting
            if waiting is not None:
                number, wait = waiting
                found = wait()
                self._parts.write(number, found)
                self._take(found, rows)
                waiting = None

        try:
            for number, piece in enumerate(pieces):
                kept = self._parts.read(number, [u.id for u in piece])
                if kept is not None:
                    finish()
                    if begun:
                        self._take(kept, rows)
                    else:
                        rows += kept
                    continue
                if not begun:
                    self._progress.start(self._most, len(rows))
                    begun = True
                started = self._measurer.start(piece)
                finish()
                waiting = number, started
                if not self._ahead:
                    finish()
            finish()
        except KeyboardInterrupt as interrupt:
            raise Interrupted(len(rows), self._most) from interrupt
        finally:
            self._measurer.stop()

    def _take(self, found: list[Measured], rows: list[Measured]) -> None:
        rows += found
        self._progress.advance(len(found), sum(row.duration for row in found))


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
