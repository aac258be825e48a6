"""Trains one aligner a fold, on rows of the other folds that the first pass trusts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from asr_gate.audit.acoustic import AcousticModel
from asr_gate.audit.acoustic.embedded import EmbeddedModel
from asr_gate.audit.adapt.folds import Folds, divide
from asr_gate.audit.judge import JudgedSample
from asr_gate.audit.records.report import Adaptation, AdaptedFold
from asr_gate.audit.report.build import control_powers
from asr_gate.corpus.cores import usable_cores
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.speech.audio import AudioError
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.embedded import files

if TYPE_CHECKING:
    from asr_gate.embedded.adapt import Lesson

SPEED = 20.0
"""Seconds of audio that a core trains on in a second, at the least; so time is bounded by counting,
and the result does not depend on the clock."""
MOST_PASSES, FEWEST_PASSES = 8, 4
"""Over the rows that a fold's model learns from."""
FEWEST_ROWS = 20
"""That a fold's model must be able to learn from."""
LONGEST: Seconds = 30.0
"""Of a row to learn from; one step holds it as a whole."""
QUALITY = 0.5
"""Least quality of a row that is trusted."""


@dataclass(frozen=True)
class Fold:
    """The model that judges one fold."""

    model: EmbeddedModel
    learned: list[str]
    """Ids of the rows that it learned from."""
    seconds: Seconds
    """Of their audio."""
    passes: int


def require_adaptable(model: AcousticModel) -> EmbeddedModel:
    """The model, if it is one that can learn here.

    Raises:
        UserError: it is not.
        ModuleNotFoundError: torch is not installed.
    """
    if not isinstance(model, EmbeddedModel):
        raise UserError(
            f"--adapt trains the embedded model alone, not {model.info.name}; leave it out, or "
            "train a CTC model with asr train and name its folder with --aligner"
        )
    import asr_gate.embedded.adapt  # noqa: F401  (now, and not after the first pass)

    return model


@dataclass(frozen=True)
class Adapted:
    """An aligner that was trained for a corpus, cross-fitted."""

    folds: Folds
    models: list[Fold]
    """By number of the fold."""
    trusted: int
    """Rows with which the first pass found nothing wrong."""
    first: JudgedSample
    """The first pass."""

    def summary(self, confidence: float) -> Adaptation:
        """What the report says of it.

        Args:
            confidence: of intervals, 0 to 1.
        """
        judged = Counter(self.folds.of.values())
        return Adaptation(
            by=self.folds.by,
            trusted=self.trusted,
            folds=[
                AdaptedFold(
                    rows=judged[number],
                    learned=len(fold.learned),
                    seconds=round(fold.seconds, 3),
                    passes=fold.passes,
                    weights_sha256=fold.model.info.weights_sha256,
                )
                for number, fold in enumerate(self.models)
            ],
            before=control_powers(self.first.calibration, confidence),
        )


def adapt(
    model: EmbeddedModel,
    first: JudgedSample,
    rows: Sequence[Utterance],
    identity: Fingerprint,
    *,
    lengths: Mapping[str, Seconds],
    minutes: float,
    seed: int,
    keep: Path,
    say: Callable[[str], None],
) -> Adapted:
    """Train a model for each fold, as many at a time as there are cores; none that is there.

    Args:
        model: the aligner of the first pass; each fold begins with it.
        first: that pass.
        rows: the sample.
        identity: whose digests the audio must have.
        lengths: of the rows, by id.
        minutes: bound of the training of all folds together, on one core.
        seed: of the training.
        keep: private folder for the trained weights.
        say: is told what is trained.

    Raises:
        UserError: too few rows are trusted, or all are of one recording.
    """
    folds = divide(rows, lengths)
    trusted = _trusted(first, lengths)
    lessons = _lessons(rows, trusted, identity, model.info.tokens)
    known = [id for id in trusted if id in lessons]
    teachers = [folds.teachers(fold, known) for fold in range(folds.count)]
    if min(map(len, teachers)) < FEWEST_ROWS:
        raise UserError(
            f"--adapt: the first pass trusts too few rows to learn from ({min(map(len, teachers))} "
            f"for one fold; {FEWEST_ROWS} are needed); leave it out and go on with --resume, or "
            "audit more rows"
        )
    plans = [_bounded(ids, lengths, 60 * minutes * SPEED / folds.count, seed) for ids in teachers]
    seconds = [sum(lengths[id] for id in ids) for ids, _ in plans]
    work = sum(length * passes for length, (_, passes) in zip(seconds, plans, strict=True))
    say(
        f"trains the aligner in {folds.count} folds by {folds.by}, on {len(known)} rows that the "
        f"first pass trusts: {work / SPEED / 60:.1f} minutes of a core at most"
    )

    stop = Event()

    def train(fold: int) -> Fold:
        ids, passes = plans[fold]
        folder = keep / f"model-{fold}"
        key = _key(model, ids, lessons, passes, seed)
        if not _is_there(folder, key):
            chosen = [lessons[id] for id in ids]
            _train(model, chosen, folder, key, passes=passes, seed=seed + fold, stop=stop)
            say(f"trained fold {fold + 1} of {folds.count}, on {len(ids)} rows")
        found = EmbeddedModel(files.read(folder), model.device, model.info.name)
        return Fold(found, ids, seconds[fold], passes)

    pool = ThreadPoolExecutor(min(usable_cores(), folds.count))
    try:
        return Adapted(folds, list(pool.map(train, range(folds.count))), len(trusted), first)
    finally:
        stop.set()  # after an error or Ctrl-C nobody waits for the others
        pool.shutdown(cancel_futures=True)


def _trusted(sample: JudgedSample, lengths: Mapping[str, Seconds]) -> list[str]:
    """Ids of the rows that the first pass finds nothing wrong with, neither text nor sound."""
    doubted = {finding.id for finding in sample.findings if finding.severity != "info"}
    return [
        row.id
        for row in sample.rows
        if row.id not in doubted
        and row.domain not in sample.untold
        and row.quality >= QUALITY
        and 0 < lengths[row.id] <= LONGEST
    ]


def _lessons(
    rows: Sequence[Utterance],
    teachers: Sequence[str],
    identity: Fingerprint,
    tokens: Sequence[str],
) -> dict[str, Lesson]:
    """Features and letters of the rows whose text the network has letters for, by id."""
    from asr_gate.embedded.adapt import Lesson
    from asr_gate.embedded.encoding import SAMPLE_RATE, frames_out
    from asr_gate.embedded.training import Features, targets

    features, wanted, found = Features(), set(teachers), {}
    decoder = Decoder()
    try:
        for row in rows:
            target = targets(row.text, row.lang, tokens) if row.id in wanted else None
            if target is None:
                continue
            try:
                expected = (identity.sounds[row.id], identity.audio)
                recording = decoder.load(row, SAMPLE_RATE, expected)
            except AudioError:
                continue
            mel = features.of(recording.samples)
            # CTC needs a frame a token, and one more between two that are the same.
            needed = len(target) + sum(a == b for a, b in pairwise(target))
            if needed <= frames_out(len(mel)):
                found[row.id] = Lesson(mel, target)
    finally:
        decoder.stop()
    return found


def _bounded(
    ids: Sequence[str], lengths: Mapping[str, Seconds], budget: Seconds, seed: int
) -> tuple[list[str], int]:
    """Rows to learn from, by lot if there are too many, and how often."""

    def lot(id: str) -> str:
        return hashlib.sha256(f"{seed}:{id}".encode()).hexdigest()

    taken: list[str] = []
    total = 0.0
    for id in sorted(ids, key=lot):
        if taken and (total + lengths[id]) * FEWEST_PASSES > budget:
            break
        taken.append(id)
        total += lengths[id]
    return sorted(taken), max(FEWEST_PASSES, min(MOST_PASSES, int(budget / total)))


def _key(
    model: EmbeddedModel, ids: Sequence[str], lessons: Mapping[str, Lesson], passes: int, seed: int
) -> str:
    """Digest of all that a fold's weights depend on."""
    digest = hashlib.sha256(f"{model.info.weights_sha256} {passes} {seed}".encode())
    for id in ids:
        digest.update(json.dumps([id, lessons[id].target]).encode())
        digest.update(lessons[id].mel.numpy().tobytes())
    return digest.hexdigest()


def _is_there(folder: Path, key: str) -> bool:
    """Whether a fold was trained before this audit was interrupted."""
    try:
        return (files.read(folder).card.model_extra or {}).get("adapted") == key
    except UserError:
        return False


def _train(
    model: EmbeddedModel,
    lessons: Sequence[Lesson],
    folder: Path,
    key: str,
    *,
    passes: int,
    seed: int,
    stop: Event,
) -> None:
    """Train one fold's model into a folder."""
    from asr_gate.embedded.adapt import fine_tune
    from asr_gate.embedded.network import net_of
    from asr_gate.embedded.training import halved, trained_card

    net = fine_tune(net_of(model.files), lessons, passes=passes, seed=seed, stop=stop)
    files.write(folder, halved(net.state_dict()), trained_card(net.card, adapted=key))
