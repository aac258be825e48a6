"""How well each detector tells speech from other sound, by frames of 10 ms."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr_gate.corpus.speech.activity import HOP, level_db, speech_activity
from asr_gate.corpus.speech.detector import Detector
from asr_gate.corpus.speech.signal import speech_to_noise
from asr_gate.corpus.utterance import Seconds, Span
from bench.activity.sounds import RATE, Mixture, Sound, pink, rms

DETECTORS: tuple[Detector, ...] = ("energy", "silero")
ROOM: Seconds = 1.0
"""Of the noise alone before and after each recording; of a clean one, of its own noise floor."""
JOIN: Seconds = 0.2
"""Words that lie nearer belong to one stretch of speech."""
COLLAR: Seconds = 0.05
"""Frames so near to the start or end of a stretch count for nobody."""


@dataclass
class Frames:
    """One detector in one mixture."""

    speech: int = 0
    other: int = 0
    missed: int = 0
    false: int = 0
    seconds: float = 0.0
    """Processor time."""
    audio: Seconds = 0.0
    ratios: list[float] = field(default_factory=list)
    """Speech to noise as rule S009 measures it, in the recording as it is, without the room."""

    @property
    def missed_share(self) -> float:
        """Of the frames of speech."""
        return self.missed / max(1, self.speech)

    @property
    def false_share(self) -> float:
        """Of the frames without speech."""
        return self.false / max(1, self.other)

    @property
    def accuracy(self) -> float:
        """The mean of both rights, however much speech there is."""
        return 1 - (self.missed_share + self.false_share) / 2


@dataclass(frozen=True)
class Clean:
    """One recording, and when its words are said."""

    identity: str
    samples: Sound
    words: Sequence[Span]


def measure(mixture: Mixture, recordings: Sequence[Clean]) -> dict[Detector, Frames]:
    """Count the frames of all recordings in one mixture."""
    found = {detector: Frames() for detector in DETECTORS}
    for number, one in enumerate(recordings):
        others = [r.samples for r in (*recordings[:number], *recordings[number + 1 :])]
        padded = _in_a_room(one)
        mixed = mixture.mix(padded, one.identity, others).astype(np.float32)
        truth, counts = _truth(one.words, len(padded))
        own = mixture.mix(one.samples, one.identity, others).astype(np.float32)
        for detector, frames in found.items():
            begin = time.process_time()
            active = speech_activity(mixed, RATE, detector)
            frames.seconds += time.process_time() - begin
            frames.audio += len(mixed) / RATE
            frames.speech += int((truth & counts).sum())
            frames.other += int((~truth & counts).sum())
            frames.missed += int((truth & ~active & counts).sum())
            frames.false += int((~truth & active & counts).sum())
            there = None if detector == "energy" else speech_activity(own, RATE, detector)
            ratio = speech_to_noise(level_db(own, RATE), there)
            if ratio is not None:
                frames.ratios.append(ratio)
    return found


def _in_a_room(one: Clean) -> Sound:
    """With a second of the recording's own noise floor on each side."""
    random = np.random.default_rng(len(one.samples))
    silence = np.zeros(int(ROOM * RATE))
    tone = pink(len(silence), random)
    floor = np.percentile(level_db(one.samples.astype(np.float32), RATE), 5)
    tone *= 10 ** (floor / 20) / rms(tone)
    return np.concatenate([tone, one.samples, tone])


def _truth(words: Sequence[Span], samples: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames are speech, and which count."""
    hops = -(-samples // round(HOP * RATE))
    middle = (np.arange(hops) + 0.5) * HOP
    speech, near = np.zeros(hops, bool), np.zeros(hops, bool)
    stretches: list[list[float]] = []
    for start, end in sorted((a + ROOM, b + ROOM) for a, b in words if b > a):
        if stretches and start - stretches[-1][1] < JOIN:
            stretches[-1][1] = max(end, stretches[-1][1])
        else:
            stretches.append([start, end])
    for start, end in stretches:
        speech |= (middle >= start) & (middle < end)
        near |= (np.abs(middle - start) < COLLAR) | (np.abs(middle - end) < COLLAR)
    return speech, ~near
