"""Make the bundled corpus: `python -m asr_gate.audit.example.build`.

Speech comes from Debian's espeak-ng, flite and festival and from the recordings of its package
pocketsphinx-testdata; sentences from `sentences.txt`. Everything is drawn from one seed.
"""

import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asr_gate.audit.example.breakage import Kind, Plan, Row
from asr_gate.audit.example.manifest import begin, finish, write_row
from asr_gate.audit.example.sound import (
    FLAC,
    MP3,
    MU_LAW,
    OPUS,
    SAMPLE_RATE,
    VORBIS,
    WAV,
    Codec,
    Samples,
    add_noise,
    add_room,
    level,
    silence,
    write,
)
from asr_gate.audit.example.voices import VOICES, Voice, missing_programs, speak

HERE = Path(__file__).parent
POCKETSPHINX = Path("/usr/share/pocketsphinx/test/data")
SEED = 20
LANGUAGE = "en"

CLEAN, NOISY, LONG = "kan_clean", "whatsapp_noisy", "long_tail"
ROWS_A_DOMAIN = 35
SEGMENTED_CLEAN_ROWS = 4
SEGMENTED_LONG_ROWS = 2
LONG_ROW_S = 20.6
"""A long row takes sentences until it lasts this many seconds."""

# Cycled through, row by row, so the shares of formats follow from these.
CLEAN_CODECS = (FLAC, MP3, FLAC, VORBIS, OPUS)
NOISY_CODECS = (OPUS, OPUS, MP3, OPUS, VORBIS, OPUS, MU_LAW)
LONG_CODECS = (OPUS, OPUS, MP3, OPUS, VORBIS)

# The package's transcription stammers here ("a more a amiable"); the reader does not.
CORRECTIONS = {
    "sense_and_sensibility_01_austen_64kb-0920": "had he married a more amiable woman he might have"
    " been made still more respectable than he was",
}

PROCEED: Plan = {
    CLEAN: {Kind.SWAPPED: 2},
    NOISY: {Kind.SILENT: 1},
    LONG: {Kind.CUT: 1},
}
STOP: Plan = {
    CLEAN: {
        Kind.SWAPPED: 6,
        Kind.CUT: 1,
        Kind.TRUNCATED: 1,
        Kind.EMPTY_TEXT: 1,
        Kind.CLIPPED: 1,
        Kind.DUPLICATE: 1,
    },
    NOISY: {
        Kind.SWAPPED: 6,
        Kind.CUT: 1,
        Kind.SILENT: 1,
        Kind.EMPTY_AUDIO: 1,
        Kind.OTHER_SCRIPT: 1,
        Kind.CLIPPED: 1,
    },
    LONG: {
        Kind.SWAPPED: 6,
        Kind.CUT: 1,
        Kind.SILENT: 1,
        Kind.OTHER_SCRIPT: 1,
        Kind.TOO_LONG: 1,
    },
}
PLANS = {"proceed.jsonl": PROCEED, "stop.jsonl": STOP}


@dataclass(frozen=True)
class Spoken:
    """A stretch of speech that becomes one row."""

    text: str
    voice: Voice
    samples: Samples


def main() -> int:
    """Build everything; 2 if something that it needs is not installed."""
    missing = missing_programs()
    if not POCKETSPHINX.is_dir():
        missing.append("pocketsphinx-testdata")
    if missing:
        print(f"missing Debian packages: {' '.join(missing)}", file=sys.stderr)
        return 2
    sentences = begin(HERE)
    rows = [
        *_clean_rows(iter(sentences["read"])),
        *_noisy_rows(iter(sentences["messages"])),
        *_long_rows(iter(sentences["long"])),
    ]
    finish(HERE, rows, PLANS, _rng, LANGUAGE)
    return 0


def _rng(name: str) -> np.random.Generator:
    """A generator of its own for each row, so that changing one row leaves the others alone."""
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


def _clean_rows(sentences: Iterator[str]) -> list[Row]:
    """Recordings of people, a session of several rows in one file, and single sentences."""
    rows = [
        write_row(
            HERE,
            f"clean-{n:03}",
            samples,
            codec,
            text=text,
            domain=CLEAN,
            speaker=speaker,
            synthesized=False,
        )
        for n, (speaker, text, samples, codec) in enumerate(_recordings(), start=1)
    ]
    session_rows = range(len(rows) + 1, len(rows) + 1 + SEGMENTED_CLEAN_ROWS)
    identities = [f"clean-{n:03}" for n in session_rows]
    session = [_spoken([next(sentences)], VOICES[0], _rng(identity)) for identity in identities]
    rows += _segments("clean-session", identities, session, FLAC, CLEAN)
    for n in range(len(rows) + 1, ROWS_A_DOMAIN + 1):
        identity = f"clean-{n:03}"
        rng = _rng(identity)
        spoken = _spoken([next(sentences)], VOICES[n % len(VOICES)], rng)
        samples = level(_padded(spoken.samples, rng), rng.uniform(-26, -21))
        rows.append(_spoken_row(identity, spoken, samples, _cycle(CLEAN_CODECS, n), CLEAN))
    return rows


def _noisy_rows(messages: Iterator[str]) -> list[Row]:
    """Short messages from a room, with noise, through a codec of low rate."""
    rows = []
    for n in range(1, ROWS_A_DOMAIN + 1):
        identity = f"noisy-{n:03}"
        rng = _rng(identity)
        spoken = _spoken([next(messages)], VOICES[n % len(VOICES)], rng)
        samples = add_room(
            _padded(spoken.samples, rng),
            rng,
            decay_s=rng.uniform(0.15, 0.35),
            direct_to_reverberant_db=rng.uniform(5, 12),
        )
        samples = add_noise(samples, rng, snr_db=rng.uniform(10, 20), tilt=rng.uniform(0.5, 1.5))
        samples = level(samples, rng.uniform(-28, -20))
        rows.append(_spoken_row(identity, spoken, samples, _cycle(NOISY_CODECS, n), NOISY))
    return rows


def _long_rows(sentences: Iterator[str]) -> list[Row]:
    """Several sentences read on, over twenty seconds each; two of them share one file."""
    identities = [f"long-{n:03}" for n in range(1, ROWS_A_DOMAIN + 1)]
    passages = []
    for n, identity in enumerate(identities):
        # The rows of one file are one speaker's.
        voice = VOICES[1 if n < SEGMENTED_LONG_ROWS else n % len(VOICES)]
        passages.append(_spoken(sentences, voice, _rng(identity), at_least_s=LONG_ROW_S))
    shared = SEGMENTED_LONG_ROWS
    rows = _segments("long-session", identities[:shared], passages[:shared], OPUS, LONG)
    for n, (identity, spoken) in enumerate(zip(identities, passages, strict=True)):
        if n < shared:
            continue
        rng = _rng(identity)
        samples = level(_padded(spoken.samples, rng), rng.uniform(-26, -21))
        rows.append(_spoken_row(identity, spoken, samples, _cycle(LONG_CODECS, n), LONG))
    return rows


def _spoken(
    sentences: Iterator[str] | Sequence[str],
    voice: Voice,
    rng: np.random.Generator,
    at_least_s: float = 0.0,
) -> Spoken:
    """Sentence after sentence until the speech lasts `at_least_s`; one sentence at the least."""
    stretch = rng.uniform(0.95, 1.12)
    texts: list[str] = []
    parts: list[Samples] = []
    for sentence in sentences:
        if parts:
            parts.append(silence(rng.uniform(0.25, 0.5)))
        texts.append(sentence)
        parts.append(speak(voice, sentence, stretch))
        if sum(map(len, parts)) >= at_least_s * SAMPLE_RATE:
            break
    else:
        raise ValueError("sentences.txt has too few sentences in one of its sections")
    return Spoken(" ".join(texts), voice, np.concatenate(parts))


def _padded(samples: Samples, rng: np.random.Generator) -> Samples:
    """A short quiet before and after."""
    before, after = rng.uniform(0.15, 0.4, 2)
    return np.concatenate([silence(before), samples, silence(after)])


def _spoken_row(identity: str, spoken: Spoken, samples: Samples, codec: Codec, domain: str) -> Row:
    return write_row(
        HERE,
        identity,
        samples,
        codec,
        text=spoken.text,
        domain=domain,
        speaker=spoken.voice.speaker,
    )


def _segments(
    name: str, identities: Sequence[str], session: Sequence[Spoken], codec: Codec, domain: str
) -> list[Row]:
    """One file holding the whole session, and a row for each part of it."""
    margin_s, pause_s = 0.2, 0.7
    parts = [silence(pause_s)]
    rows = []
    path = f"audio/{name}{codec.suffix}"
    for identity, spoken in zip(identities, session, strict=True):
        starts = sum(map(len, parts)) / SAMPLE_RATE
        parts += [spoken.samples, silence(pause_s)]
        offset = round(starts - margin_s, 3)
        duration = round(len(spoken.samples) / SAMPLE_RATE + 2 * margin_s, 3)
        speaker = spoken.voice.speaker
        rows.append(Row(identity, path, spoken.text, duration, domain, speaker, offset))
    write(HERE / path, level(np.concatenate(parts), -24), codec)
    return rows


def _recordings() -> Iterator[tuple[str, str, Samples, Codec]]:
    """Speaker, transcript, samples and codec of the recordings in pocketsphinx-testdata."""
    for folder, transcription, speaker, codec in (
        ("librivox", "transcription", "librivox-reader", FLAC),
        ("cards", "cards.transcription", "cards-reader", WAV),
    ):
        for line in (POCKETSPHINX / folder / transcription).read_text().splitlines():
            text, _, name = line.rpartition(" ")
            name = name.strip("()")
            text = text.replace("<s>", "").replace("</s>", "").strip()
            samples, rate = soundfile.read(POCKETSPHINX / folder / f"{name}.wav", dtype="float32")
            if rate != SAMPLE_RATE:
                raise RuntimeError(f"{name}: sampled at {rate} Hz")
            yield speaker, CORRECTIONS.get(name, text), samples, codec


def _cycle(codecs: Sequence[Codec], n: int) -> Codec:
    return codecs[n % len(codecs)]


if __name__ == "__main__":
    sys.exit(main())
