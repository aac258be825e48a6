"""The Hebrew corpus among the examples: `python -m recipes.hebrew_example`.

The sentences of `audit/example/he/sentences.txt` are pointed, read as IPA and spoken as the recipe
of the Hebrew model does it (`recipes/embedded/languages/he.py` and `README.md`: what has to be
installed), by voices that it was not trained on: Kokoro's held-out one, at three paces and pitches,
and random ones of espeak-ng, drawn by names of their own. Everything is drawn from one seed.
"""

import random
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soxr

from asr_gate.audit.example.breakage import Kind, Plan, Row
from asr_gate.audit.example.manifest import begin, finish, write_row
from asr_gate.audit.example.sound import (
    FLAC,
    MP3,
    OPUS,
    SAMPLE_RATE,
    VORBIS,
    Codec,
    Samples,
    add_noise,
    add_room,
    level,
    silence,
    trim,
)
from asr_gate.corpus.text.numbers import read_out
from recipes.embedded.espeak import ESPEAK_DATA, Espeak
from recipes.embedded.kokoro import Kokoro
from recipes.embedded.languages.he import LANGUAGE, pronounce
from recipes.embedded.nakdimon import Nakdimon

HERE = Path(__file__).parents[1] / "audit" / "example" / "he"
SEED = 25

CLEAN, NOISY, LONG = "kan_clean", "whatsapp_noisy", "long_tail"
SENTENCES_A_LONG_ROW = 2
CLEAN_CODECS = (OPUS, FLAC, OPUS, VORBIS, OPUS)
NOISY_CODECS = (OPUS, OPUS, MP3, OPUS, VORBIS)
LONG_CODECS = (OPUS, OPUS, OPUS, MP3, OPUS)

PROCEED: Plan = {CLEAN: {Kind.SWAPPED: 2}, NOISY: {Kind.SILENT: 1}, LONG: {Kind.CUT: 1}}
STOP: Plan = {
    CLEAN: {Kind.SWAPPED: 6, Kind.CUT: 1, Kind.EMPTY_TEXT: 1, Kind.CLIPPED: 1},
    NOISY: {Kind.SWAPPED: 6, Kind.CUT: 1, Kind.SILENT: 1, Kind.EMPTY_AUDIO: 1},
    LONG: {Kind.SWAPPED: 6, Kind.CUT: 1, Kind.TOO_LONG: 1, Kind.DUPLICATE: 1},
}
PLANS = {"proceed.jsonl": PROCEED, "stop.jsonl": STOP}


@dataclass(frozen=True)
class Voice:
    """One synthesized speaker."""

    speaker: str
    engine: str
    name: str
    """Of the engine's voice; espeak-ng's speak in a random variant."""
    speed: float = 1.0
    """How much faster, and higher, it is played."""


ESPEAK = tuple(
    Voice(f"espeak-{accent}-{number}", "espeak", accent)
    for number, accent in enumerate(("es", "it", "el", "ro", "sr", "pl", "ca", "es"), start=1)
)
KOKORO = tuple(
    Voice(f"kokoro-sara-{name}", "kokoro", LANGUAGE.held_out.partition(":")[2], speed)
    for name, speed in (("low", 0.87), ("mid", 1.0), ("high", 1.13))
)
CLEAN_VOICES = (KOKORO[0], ESPEAK[0], KOKORO[1], ESPEAK[1], KOKORO[2], ESPEAK[2])


def main() -> int:
    """Build everything."""
    sections = begin(HERE)
    spoken = _pronounced([sentence for section in sections.values() for sentence in section])
    long = sections["long"]
    passages = [
        long[at : at + SENTENCES_A_LONG_ROW] for at in range(0, len(long), SENTENCES_A_LONG_ROW)
    ]
    with tempfile.TemporaryDirectory() as folder:
        data = shutil.copytree(ESPEAK_DATA, Path(folder) / "espeak-ng-data")
        # Whoever starts espeak-ng's library last decides where it looks for voices.
        kokoro, espeak = Kokoro(LANGUAGE), Espeak(data, LANGUAGE)
        say = partial(_speak, {"espeak": espeak, "kokoro": kokoro}, spoken)
        rows = [
            *_rows(CLEAN, [[s] for s in sections["read"]], CLEAN_VOICES, CLEAN_CODECS, say),
            *_rows(NOISY, [[s] for s in sections["messages"]], ESPEAK, NOISY_CODECS, say),
            *_rows(LONG, passages, ESPEAK, LONG_CODECS, say),
        ]
    finish(HERE, rows, PLANS, _rng, LANGUAGE.code)
    return 0


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


def _pronounced(sentences: Sequence[str]) -> dict[str, str]:
    """Each sentence in IPA, word by word, with its punctuation.

    Raises:
        ValueError: a word has no reading; write another.
    """
    said = [read_out(sentence, LANGUAGE.code) for sentence in sentences]
    found = {}
    for sentence, pointed in zip(sentences, Nakdimon().point(said), strict=True):
        words = []
        for word in pointed.split():
            bare = word.rstrip(",.?!")
            ipa = pronounce(bare, True)
            if not ipa:
                raise ValueError(f"no reading of {bare} in: {sentence}")
            words.append(ipa + word[len(bare) :])
        found[sentence] = " ".join(words)
    return found


def _rows(
    domain: str,
    texts: Sequence[Sequence[str]],
    voices: Sequence[Voice],
    codecs: Sequence[Codec],
    say: Callable[[Voice, str], Samples],
) -> Iterator[Row]:
    """The rows of a domain, each one or several sentences by one voice."""
    for number, sentences in enumerate(texts):
        identity = f"he-{domain.split('_')[-1]}-{number + 1:03}"
        rng = _rng(identity)
        pieces = [silence(rng.uniform(0.15, 0.4))]
        voice = voices[number % len(voices)]
        for sentence in sentences:
            pieces += [say(voice, sentence), silence(rng.uniform(0.25, 0.5))]
        samples = np.concatenate(pieces)
        if domain == NOISY:
            room, direct = rng.uniform(0.15, 0.35), rng.uniform(5, 12)
            samples = add_room(samples, rng, decay_s=room, direct_to_reverberant_db=direct)
            snr, tilt = rng.uniform(12, 22), rng.uniform(0.5, 1.5)
            samples = add_noise(samples, rng, snr_db=snr, tilt=tilt)
        yield write_row(
            HERE,
            identity,
            level(samples, rng.uniform(-26, -21)),
            codecs[number % len(codecs)],
            text=" ".join(sentences),
            domain=domain,
            speaker=voice.speaker,
        )


def _speak(
    engines: Mapping[str, Espeak | Kokoro], spoken: Mapping[str, str], voice: Voice, sentence: str
) -> Samples:
    """A sentence at 16 kHz, without silence around it.

    Raises:
        RuntimeError: the voice cannot say it.
    """
    # The same draws for each sentence: one speaker has one voice.
    rng = random.Random(voice.speaker)
    speech = engines[voice.engine].speak(spoken[sentence], rng, voice.name)
    if speech is None:
        raise RuntimeError(f"{voice.speaker} cannot say: {sentence}")
    wave = soxr.resample(speech.wave, speech.rate * voice.speed, SAMPLE_RATE)
    return trim(np.asarray(wave, dtype=np.float32))


if __name__ == "__main__":
    sys.exit(main())
