"""Noises that are mixed with speech: steady ones, voices, music, short bursts, and rooms."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16000
VOICES = 6
"""Of a babble."""

Sound = NDArray[np.float64]
Noise = Callable[[int, np.random.Generator, Sequence[Sound]], Sound]
"""So many samples, by lot, from voices that are not the speaker's."""


@dataclass(frozen=True)
class Mixture:
    """One kind of noise at one level."""

    name: str
    noise: Noise | None = None
    snr: float = 0.0
    """Of mean powers, over the whole recording, dB."""
    echo: float = 0.0
    """Seconds in which a room's sound falls by 60 dB."""

    @property
    def title(self) -> str:
        """With its level."""
        if self.echo:
            return f"{self.name}, {self.echo:g} s"
        return f"{self.name}, {self.snr:g} dB" if self.noise else self.name

    def mix(self, speech: Sound, identity: str, others: Sequence[Sound]) -> Sound:
        """Speech with the noise, peaks within full scale; the same every time."""
        random = np.random.default_rng(zlib.crc32(f"{self.name} {identity}".encode()))
        mixed = _echoed(speech, random, self.echo) if self.echo else speech
        if self.noise is not None:
            noise = self.noise(len(speech), random, others)
            mixed = mixed + noise * (rms(speech) / rms(noise)) * 10 ** (-self.snr / 20)
        return mixed / max(1.0, float(np.abs(mixed).max()))


def rms(sound: Sound) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(sound**2) + 1e-20))


def pink(count: int, random: np.random.Generator, _: Sequence[Sound] = ()) -> Sound:
    """The same power in every octave."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n=count)


def _white(count: int, random: np.random.Generator, _: Sequence[Sound]) -> Sound:
    found: Sound = random.standard_normal(count)
    return found


def _babble(count: int, random: np.random.Generator, others: Sequence[Sound]) -> Sound:
    voices = [_voice(count, random, others) for _ in range(VOICES)]
    return np.asarray(np.sum(voices, axis=0))


def _voice(count: int, random: np.random.Generator, others: Sequence[Sound]) -> Sound:
    chosen = others[int(random.integers(len(others)))]
    start = random.integers(len(chosen))
    return np.resize(np.roll(chosen / rms(chosen), -start), count)


def _music(count: int, random: np.random.Generator, _: Sequence[Sound]) -> Sound:
    """Chords of plucked strings, two to four a second."""
    found, start = np.zeros(count), 0
    while start < count:
        end = min(count, start + int(RATE * random.uniform(0.25, 0.6)))
        time = np.arange(end - start) / RATE
        root = 110 * 2 ** (random.integers(24) / 12)
        for interval in (0, 4, 7, 12):
            for harmonic in range(1, 6):
                wave = 2 * np.pi * root * 2 ** (interval / 12) * harmonic * time
                found[start:end] += np.sin(wave + random.uniform(0, 6)) / harmonic
        found[start:end] *= np.exp(-3 * time)
        start = end
    return found


def _bursts(count: int, random: np.random.Generator, _: Sequence[Sound]) -> Sound:
    """Clicks of 5 to 50 ms and breaths of 0.2 to 0.6 s, three in two seconds."""
    found = np.zeros(count)
    for _number in range(int(1.5 * count / RATE) + 1):
        start, click = random.integers(count), random.random() < 0.5
        length = int(RATE * (random.uniform(0.005, 0.05) if click else random.uniform(0.2, 0.6)))
        shape = 4 * np.exp(-4 * np.arange(length) / length) if click else np.hanning(length)
        burst = (random.standard_normal(length) * shape)[: count - start]
        found[start : start + len(burst)] += burst
    return found


def _echoed(sound: Sound, random: np.random.Generator, seconds: float) -> Sound:
    """Far from the microphone: exponentially falling noise, and a quarter of the power direct."""
    length = int(RATE * seconds)
    response = random.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    response[: RATE // 100] = 0
    response *= np.sqrt(0.75 / np.sum(response**2))
    response[0] = 0.5
    size = len(sound) + length
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)
    return heard[: len(sound)] * (rms(sound) / rms(heard))


CLEAN = Mixture("clean")
MIXTURES = (
    CLEAN,
    *(
        Mixture(name, noise, snr)
        for name, noise in {
            "white noise": _white,
            "pink noise": pink,
            "music": _music,
            "clicks and breaths": _bursts,
            "babble of six": _babble,
            "one other voice": _voice,
        }.items()
        for snr in (10.0, 0.0)
    ),
    Mixture("room", echo=0.4),
    Mixture("room", echo=0.8),
)
