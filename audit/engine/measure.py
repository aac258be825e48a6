"""From utterances to measurements: decode, emissions, alignment, coverage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from audit.acoustic import AcousticModel, Emission
from audit.acoustic.batching import emissions
from audit.align import AlignedWord, Unalignable
from audit.align.coverage import coverage
from audit.align.strict import align
from audit.measured import Fault, Measured
from corpus.speech.activity import HOP, level_db, speech_activity
from corpus.speech.audio import AudioError, EmptyAudio, Recording, load
from corpus.utterance import Seconds, Utterance


def measure(
    utterances: Sequence[Utterance],
    model: AcousticModel,
    *,
    batch_seconds: Seconds,
    keep_word: float,
) -> list[Measured]:
    """Measure one part of the plan, in its order.

    What cannot be decoded or aligned is measured as far as it goes, with the reason; nothing
    raises for the sake of one utterance.

    Args:
        utterances: the part.
        model: the acoustic model.
        batch_seconds: padded audio in one batch.
        keep_word: least confidence of a word that counts as said.
    """

    def decode(utterance: Utterance) -> Recording | Fault:
        try:
            return load(utterance, model.info.sample_rate)
        except EmptyAudio as error:
            return Fault("S002", str(error))
        except AudioError as error:
            return Fault("S001", str(error))

    # Threads, because decoding and alignment release the interpreter lock; the order of results is
    # that of the utterances, whatever the number of workers.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        recordings = list(pool.map(decode, utterances))
        heard = [r for r in recordings if isinstance(r, Recording)]
        found = iter(emissions(model, [r.samples for r in heard], batch_seconds))
        outputs = [next(found) if isinstance(r, Recording) else None for r in recordings]

        def one(job: tuple[Utterance, Recording | Fault, Emission | None]) -> Measured:
            return _measure_one(*job, model, keep_word)

        return list(pool.map(one, zip(utterances, recordings, outputs, strict=True)))


def _measure_one(
    utterance: Utterance,
    recording: Recording | Fault,
    emission: Emission | None,
    model: AcousticModel,
    keep_word: float,
) -> Measured:
    transcript = model.spell(utterance.text)
    fault = recording if isinstance(recording, Fault) else None
    duration = speech_seconds = peak = clipped = 0.0
    text_share = speech_share = confidence = quality = 0.0
    words: tuple[AlignedWord, ...] = ()
    if isinstance(recording, Recording) and emission is not None:
        activity = speech_activity(recording.samples, recording.sample_rate)
        duration, clipped = recording.duration, recording.clipped
        speech_seconds = float(activity.sum()) * HOP
        peak = float(level_db(recording.samples, recording.sample_rate).max())
        aligned = align(emission, transcript, model.info, keep_word)
        if isinstance(aligned, Unalignable):
            fault = Fault(aligned.code, aligned.reason)
        else:
            words = aligned.words
            result = coverage(words, activity)
            text_share, speech_share = result.text, result.speech
            confidence = result.confidence
            quality = speech_share * float(
                np.average([w.confidence for w in words], weights=[w.letters for w in words])
            )
    return Measured(
        id=utterance.id,
        domain=utterance.domain,
        lang=utterance.lang,
        origin=utterance.origin,
        text=utterance.text,
        duration=duration,
        speech_seconds=speech_seconds,
        peak_db=peak,
        clipped=clipped,
        letters=transcript.letters,
        unknown=transcript.unknown,
        dropped=transcript.dropped,
        text_coverage=text_share,
        speech_coverage=speech_share,
        confidence=confidence,
        quality=quality,
        words=words,
        fault=fault,
    )
