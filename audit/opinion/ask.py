"""Asks the strict aligner of the excluded rows and of kept ones, on the same emissions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from asr_gate.audit.acoustic import AcousticModel, Emission
from asr_gate.audit.acoustic.batching import as_computed
from asr_gate.audit.opinion.strict import PACKAGE, NoAnswer, StrictAligner
from asr_gate.audit.pairing.search import said
from asr_gate.audit.records.excluded import excludes
from asr_gate.audit.records.finding import Finding
from asr_gate.audit.records.judged import Judged
from asr_gate.audit.records.opinion import AskedRow, SecondOpinion
from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.fingerprint import Fingerprint
from asr_gate.corpus.speech.audio import AudioError, Recording
from asr_gate.corpus.speech.decoding import Decoder
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance

MOST = 500
"""Excluded rows that are asked about; of more, so many are drawn by lot."""
LEAST_KEPT = 40
"""Kept rows that are asked about, however few are excluded: they draw the line."""
ALIGNERS = "A"
"""How the codes of the rules begin that an aligner's scores can confirm or deny."""
DOUBTED = 0.05
"""Share of the kept rows that score under the line: what scores no worse than the rest of them, the
strict aligner has nothing against."""
GROUP = 16
"""Rows whose audio is in memory at a time."""
DIGITS = 6


def second_opinion(
    model: AcousticModel,
    rows: Sequence[Judged],
    findings: Mapping[str, Sequence[Finding]],
    corpus: Corpus,
    identity: Fingerprint,
    batch_seconds: Seconds,
) -> SecondOpinion:
    """What a strict aligner says of the rows that were aligned.

    Args:
        model: whose emissions the audit used.
        rows: judged.
        findings: by utterance id.
        corpus: what was audited.
        identity: whose digests the audio must have.
        batch_seconds: padded audio in one batch on a GPU.
    """
    aligned = [row.id for row in rows if row.measured.fault is None and row.words]
    codes = {one: sorted({f.code for f in findings.get(one, ()) if excludes(f)}) for one in aligned}
    excluded = _drawn([one for one in aligned if codes[one]])
    kept = _drawn([one for one in aligned if not codes[one]])[: max(len(excluded), LEAST_KEPT)]
    chosen = {*excluded, *kept}
    utterances = {u.id: u for u in corpus.utterances if u.id in chosen}
    aligner = StrictAligner(model.info)
    try:
        asked = [
            _asked(aligner, u, emission, model.spell(said(u.text), u.lang), codes[u.id])
            for u, emission in _emissions(
                model, [utterances[one] for one in sorted(chosen)], identity, batch_seconds
            )
        ]
    finally:
        aligner.stop()
    asked.sort(key=lambda row: row.id)
    return summary(asked, sum(map(bool, codes.values())))


def summary(asked: Sequence[AskedRow], excluded: int) -> SecondOpinion:
    """Where the two disagree.

    Args:
        asked: rows with scores, or with why they have none.
        excluded: aligned rows that the audit excludes, asked or not.
    """
    good = [row.mean for row in asked if not row.excluded_by and row.mean is not None]
    line = round(float(np.quantile(good, DOUBTED)), DIGITS) if good else None
    return SecondOpinion(
        aligner=f"{PACKAGE} {version(PACKAGE)}",
        excluded=excluded,
        line=line,
        cleared=[row.id for row in asked if line is not None and _is_cleared(row, line)],
        doubted=[
            row.id
            for row in asked
            if line is not None and not row.excluded_by and row.mean is not None and row.mean < line
        ],
        rows=list(asked),
    )


def _is_cleared(row: AskedRow, line: float) -> bool:
    """Whether an aligner's rule excludes it that the strict aligner has nothing against."""
    by_alignment = any(code.startswith(ALIGNERS) for code in row.excluded_by)
    return by_alignment and row.mean is not None and row.mean >= line


def _asked(
    aligner: StrictAligner,
    utterance: Utterance,
    emission: Emission | str,
    transcript: Transcript,
    codes: list[str],
) -> AskedRow:
    row = AskedRow(id=utterance.id, excluded_by=codes)
    if isinstance(emission, str):
        return row.model_copy(update={"reason": emission})
    try:
        found = aligner.scores(emission, transcript)
    except NoAnswer as error:
        return row.model_copy(update={"reason": str(error)})
    return row.model_copy(
        update={
            "mean": round(found.mean, DIGITS),
            "worst": round(found.worst, DIGITS),
            "worst_word": found.worst_word,
            "unknown": found.unknown,
        }
    )


def _drawn(identities: Collection[str]) -> list[str]:
    return sorted(identities, key=lambda one: lot("second opinion", one))[:MOST]


def _emissions(
    model: AcousticModel,
    utterances: Sequence[Utterance],
    identity: Fingerprint,
    batch_seconds: Seconds,
) -> Iterator[tuple[Utterance, Emission | str]]:
    """Each row's emission, or why there is none."""
    decoder = Decoder()
    try:
        for first in range(0, len(utterances), GROUP):
            heard: list[tuple[Utterance, Recording]] = []
            for u in utterances[first : first + GROUP]:
                expected = identity.sounds[u.id], identity.audio
                try:
                    heard.append((u, decoder.load(u, model.info.sample_rate, expected)))
                except AudioError as error:
                    yield u, str(error)
            sounds = [recording.samples for _, recording in heard]
            for number, emission in as_computed(model, sounds, batch_seconds, range(len(sounds))):
                yield heard[number][0], emission
    finally:
        decoder.stop()
