"""Word times against hand-made ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic import Emission
from asr_gate.audit.align import align, prepare
from asr_gate.audit.align.times import Delay, lag_profile, measure_delay, sound_times
from asr_gate.audit.records.alignment import Unalignable
from asr_gate.corpus.speech.activity import level_db, spans, speech_activity
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Span, Utterance
from bench.detection.competitors import TIMED, fits
from bench.detection.data import HandMade
from bench.detection.material import Material

NEAR = 0.05
"""Seconds."""

Errors = NDArray[np.float64]
"""Of starts and ends, seconds late, shape (words, 2)."""


@dataclass(frozen=True, slots=True)
class Boundaries:
    """One aligner's word times."""

    name: str
    errors: Errors

    @property
    def medians(self) -> Errors:
        """Seconds late, of starts and ends."""
        return np.asarray(np.median(self.errors, axis=0))

    @property
    def near(self) -> Errors:
        """Share of all starts and of all ends within 50 ms."""
        return self.within(NEAR)

    def within(self, seconds: float) -> Errors:
        """Share of all starts and of all ends that are not further off."""
        return np.asarray((np.abs(self.errors) <= seconds).mean(axis=0))

    def of(self, words: NDArray[np.bool_]) -> Boundaries:
        """Those of some words."""
        return Boundaries(self.name, self.errors[words])

    @property
    def shifted(self) -> Boundaries:
        """With the medians of the hand-made times taken out, which no user has."""
        return Boundaries(self.name, self.errors - self.medians)


@dataclass(frozen=True)
class Times:
    """Everyone's word times."""

    delay: Delay
    """Ours, measured on all utterances without labels."""
    kept: int
    """Words that our alignment keeps."""
    waits: NDArray[np.float64]
    """Seconds from each word's hand-made start until there is speech, shape (words,)."""
    found: list[Boundaries]
    """Ours first."""


def boundaries(given: Material, hand: dict[str, HandMade], detector: Detector = "silero") -> Times:
    """Compare the times of all words that have hand-made ones."""
    rows = [n for n, u in enumerate(given.utterances) if _same_words(u, given, hand)]
    true = np.array([(start, end) for n in rows for _, start, end in hand[given.utterances[n].id]])
    delay, ours, kept = placed_words(given, detector)
    found = [Boundaries("asr-gate", np.array([span for n in rows for span in ours[n]]) - true)]
    for aligner in TIMED:
        if not aligner.absent:
            times = _spans(given, rows, aligner.spans)
            found.append(Boundaries(aligner.title + aligner.setting, times - true))
    waits = [wait for n in rows for wait in _waits(given, n, hand, detector)]
    return Times(delay, sum(kept[n] for n in rows), np.array(waits), found)


def _waits(
    given: Material, n: int, hand: dict[str, HandMade], detector: Detector
) -> Iterator[float]:
    """For each word of an utterance, how long after its hand-made start speech activity is."""
    recording = given.recordings[n]
    active = spans(speech_activity(recording.samples, recording.sample_rate, detector))
    for _, start, _ in hand[given.utterances[n].id]:
        ahead = (max(0.0, begin - start) for begin, end in active if end > start)
        yield next(ahead, recording.duration - start)


def _spans(
    given: Material,
    rows: Sequence[int],
    spans_of: Callable[..., list[Span]],
) -> Errors:
    times: list[Span] = []
    for n in rows:
        transcript: Transcript = given.transcripts[given.utterances[n].id]
        emission: Emission = given.emissions[n]
        assert fits(emission, transcript, given.info)
        times += spans_of(emission, transcript, given.info)
    return np.array(times)


def placed_words(given: Material, detector: Detector) -> tuple[Delay, list[list[Span]], list[int]]:
    """The delay of the model; of each utterance, the times of its words and how many are kept."""
    aligned, profiles, active = [], [], []
    for utterance, emission, recording in zip(
        given.utterances, given.emissions, given.recordings, strict=True
    ):
        found = align(prepare(emission, given.info), given.transcripts[utterance.id], given.info)
        if isinstance(found, Unalignable):
            raise ValueError(f"{utterance.id}: {found.reason}")
        level = level_db(recording.samples, recording.sample_rate)
        aligned.append(found)
        profiles.append(lag_profile(found, level).tolist())
        sound = speech_activity(recording.samples, recording.sample_rate, detector)
        active.append(spans(sound))
    delay = measure_delay(profiles, [found.words for found in aligned], given.info.delay)
    placed, kept = [], []
    for found, activity, recording in zip(aligned, active, given.recordings, strict=True):
        words, _ = sound_times(found.words, found.gaps, activity, delay, recording.duration)
        placed.append(words)
        kept.append(sum(w.kept for w in found.words))
    return delay, placed, kept


def _same_words(one: Utterance, given: Material, hand: dict[str, HandMade]) -> bool:
    if one.id not in hand:
        return False
    theirs = given.model.spell(" ".join(word for word, _, _ in hand[one.id]), one.lang).words
    ours = given.transcripts[one.id].words
    return [w.letters for w in theirs] == [w.letters for w in ours] and len(ours) == len(
        hand[one.id]
    )
