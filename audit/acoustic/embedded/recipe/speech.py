"""Speech with phone and word times, from the free synthesizers that Debian carries.

espeak-ng and flite are called in this process through their C libraries, which is fast and gives
the times that their command lines hide; festival runs as a process for a whole job of sentences.
"""

import ctypes
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ..network import PHONES, SAMPLE_RATE
from .text import Sentence

Wave = npt.NDArray[np.float32]

HELD_OUT = "festival:ked_diphone"
"""Never trained on: shows how far the model carries to a voice that it does not know."""

SHARES = {
    "espeak": 0.46,
    "flite:slt": 0.13,
    "flite:rms": 0.13,
    "flite:awb": 0.13,
    "flite:kal16": 0.04,
    "festival:cmu_us_slt_arctic_hts": 0.05,
    "festival:kal_diphone": 0.06,
}
"""Shares of the utterances; more where a synthesizer has more voices or a more natural one."""

FLITE_PITCH = {"slt": (130, 240), "rms": (75, 140), "awb": (85, 165), "kal16": (80, 150)}
"""Mean fundamental frequencies in Hz that the voice still sounds human at."""

# fmt: off
ACCENTS = (
    "en-us", "en-us", "en-us", "en-us", "en-us", "en", "en", "en-gb-scotland", "en-gb-x-rp",
    "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
)
# Whispers, creaks and toys, which teach little about voices.
ODD_VARIANTS = {
    "whisper", "whisperf", "croak", "robosoft", "robosoft2", "robosoft3", "robosoft4", "robosoft5",
    "robosoft6", "robosoft7", "robosoft8", "Demonic", "Mr", "serious", "UniRobot", "Tweaky", "fast",
    "fast_test", "Half-LifeAnnouncementSystem", "anikaRobot", "Storm",
}
# fmt: on


@dataclass
class Speech:
    """One spoken sentence."""

    wave: Wave
    rate: int
    """Samples a second of `wave`."""
    phones: list[tuple[str, float]]
    """Phone (one of `PHONES`, or "?" where the map has none) and its end in seconds."""
    words: list[tuple[float, float] | None]
    """Start and end in seconds; None where the synthesizer ran the word into the one before."""
    voice: str


def _floats(samples: Any, count: int) -> Wave:
    """A copy of a C array of 16-bit samples, -1 to 1."""
    array: Wave = np.ctypeslib.as_array(samples, (count,)).astype(np.float32)
    return array / np.float32(32768)


# --- espeak-ng ------------------------------------------------------------------------------------

IPA = {
    "aɪɚ": "ay", "aɪə": "ay", "aʊɚ": "aw", "aʊə": "aw", "aɪ": "ay", "aʊ": "aw", "eɪ": "ey",
    "ɔɪ": "oy", "oɪ": "oy", "oʊ": "ow", "əʊ": "ow", "ɪə": "ih", "eə": "eh", "ʊə": "uh", "iə": "iy",
    "tʃ": "ch", "dʒ": "jh", "ɑɹ": "aa", "ɔɹ": "ao", "oɹ": "ao", "ʊɹ": "uh", "ɪɹ": "ih", "ɛɹ": "eh",
    "əl": "l", "ɚ": "er", "ɜ": "er", "ɝ": "er", "ʌ": "ah", "ɐ": "ah", "ə": "ah", "ɒ": "aa",
    "ɑ": "aa", "æ": "ae", "a": "ae", "ɛ": "eh", "e": "ey", "i": "iy", "ɪ": "ih", "ᵻ": "ih",
    "ɨ": "ih", "ʊ": "uh", "ɵ": "uh", "u": "uw", "ʉ": "uw", "ɔ": "ao", "o": "ow", "ɾ": "d",
    "ʔ": "t", "ɫ": "l", "l": "l", "x": "k", "ɹ": "r", "r": "r", "ʍ": "w", "w": "w", "j": "y",
    "ɡ": "g", "g": "g", "ŋ": "ng", "θ": "th", "ð": "dh", "ʃ": "sh", "ʒ": "zh", "h": "hh", "b": "b",
    "d": "d", "f": "f", "k": "k", "m": "m", "n": "n", "p": "p", "s": "s", "t": "t", "v": "v",
    "z": "z",
}  # fmt: skip


def phone_of_ipa(symbol: str) -> str:
    """One of `PHONES` for an espeak-ng phoneme written in IPA, "?" where none fits."""
    symbol = re.sub(r"[ˈˌː̩ʲ]", "", symbol)
    if not symbol or symbol.startswith("_"):
        return "sil"
    return next((IPA[symbol[:n]] for n in (3, 2, 1) if symbol[:n] in IPA), "?")


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """`espeak_EVENT` of espeak-ng's speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_WORD, _PHONEME = 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4


def random_variant(rng: random.Random) -> str:
    """A voice variant file: formants, pitch, breath and roughness drawn at random."""
    female = rng.random() < 0.5
    tract = rng.uniform(1.02, 1.2) if female else rng.uniform(0.84, 1.06)
    low = rng.uniform(140, 210) if female else rng.uniform(65, 120)
    lines = [
        "language variant",
        "name random",
        f"pitch {low:.0f} {low * rng.uniform(1.15, 1.7):.0f}",
        f"flutter {rng.randint(0, 8)}",
        f"roughness {rng.randint(0, 4)}",
        f"voicing {rng.randint(70, 130)}",
        f"consonants {rng.randint(70, 140)} {rng.randint(70, 140)}",
        f"tone 100 {rng.randint(150, 255)} 600 {rng.randint(90, 255)} 1200 {rng.randint(50, 220)}"
        f" 2000 {rng.randint(40, 200)} 3000 {rng.randint(30, 200)}",
    ]
    for number in range(9):
        frequency = 100 * tract * rng.uniform(0.94, 1.06)
        height, width = rng.uniform(60, 140), rng.uniform(80, 160)
        lines.append(f"formant {number} {frequency:.0f} {height:.0f} {width:.0f}")
    if rng.random() < 0.4:
        lines.append("breath " + " ".join(str(rng.randint(0, 4)) for _ in range(8)))
        lines.append(f"breathw {' '.join('200' for _ in range(8))}")
    if rng.random() < 0.2:
        lines.append(f"echo {rng.randint(60, 160)} {rng.randint(5, 15)}")
    return "\n".join(lines) + "\n"


class Espeak:
    """espeak-ng's library, started once a process with a data folder of its own."""

    def __init__(self, data: Path) -> None:
        """`data`: a copy of espeak-ng-data, to which random variants may be added."""
        self.folder = data
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        synchronous, phoneme_events_in_ipa = 2, 3
        self.rate = self.library.espeak_Initialize(
            synchronous, 0, str(data.parent).encode(), phoneme_events_in_ipa
        )
        self.samples: list[Wave] = []
        self.events: list[tuple[int, int, int, str]] = []
        self.callback = _CALLBACK(self._collect)  # kept alive as long as the library may call it
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, wave: object, count: int, events: object) -> int:
        if wave and count > 0:
            self.samples.append(_floats(wave, count))
        number = 0
        while events and events[number].type:  # type: ignore[index]
            event = events[number]  # type: ignore[index]
            if event.type in (_WORD, _PHONEME):
                # Phonemes lie in the union's eight bytes, without a closing zero if they fill it.
                raw = ctypes.string_at(ctypes.addressof(event.id), 8).split(b"\0")[0]
                symbol = raw.decode("utf-8", "ignore") if event.type == _PHONEME else ""
                self.events.append((event.type, event.text_position, event.sample, symbol))
            number += 1
        return 0

    def speak(self, raw: str, rng: random.Random) -> Speech | None:
        """The sentence in a random accent, voice variant, rate and pitch."""
        if rng.random() < 0.5:
            variant = f"x{rng.randrange(1 << 30)}"
            path = self.folder / "voices" / "!v" / variant
            path.write_text(random_variant(rng))
            name = "random"
        else:
            name = variant = rng.choice(variants())
            path = None
        accent = rng.choice(ACCENTS)
        found = self.library.espeak_SetVoiceByName(f"{accent}+{variant}".encode())
        if path:
            path.unlink()
        if found:
            return None
        self.library.espeak_SetParameter(_RATE, rng.randint(115, 215), 0)
        self.library.espeak_SetParameter(_PITCH, rng.randint(30, 70), 0)
        self.library.espeak_SetParameter(_RANGE, rng.randint(20, 85), 0)
        self.samples, self.events = [], []
        data = raw.encode()
        characters, utf8 = 1, 1
        self.library.espeak_Synth(data, len(data) + 1, 0, characters, 0, utf8, None, None)
        if not self.samples:
            return None
        wave = np.concatenate(self.samples)
        return self._speech(raw, wave, f"espeak:{accent}+{name}")

    def _speech(self, raw: str, wave: Wave, voice: str) -> Speech:
        total = len(wave) / self.rate
        events = [(t, p, max(s / self.rate - ESPEAK_LATE, 0.0), x) for t, p, s, x in self.events]
        starts = [(s, phone_of_ipa(x)) for t, _, s, x in events if t == _PHONEME]
        ends = [start for start, _ in starts[1:]] + [total]
        phones = [("sil", starts[0][0] if starts else total)]
        phones += [(phone, end) for (_, phone), end in zip(starts, ends, strict=True)]
        # Words are told by the position of their first letter, counted from 1.
        index = {m.start() + 1: i for i, m in enumerate(re.finditer(r"\S+", raw))}
        words: list[tuple[float, float] | None] = [None] * len(index)
        marks = [(s, index.get(p)) for t, p, s, _ in events if t == _WORD]
        for (start, word), end in zip(marks, [s for s, _ in marks[1:]] + [total], strict=True):
            if word is not None and words[word] is None and end > start:
                words[word] = (start, end)
        return Speech(wave, self.rate, phones, words, voice)


ESPEAK_LATE = 0.025
"""Seconds by which espeak-ng's events trail its sound: there vowels' energy fits their labels."""

ESPEAK_DATA = next(Path("/usr/lib").glob("*/espeak-ng-data"), Path("espeak-ng-data"))


@cache
def variants() -> list[str]:
    """The voice variants that espeak-ng brings, less the toys."""
    return sorted(p.name for p in (ESPEAK_DATA / "voices" / "!v").iterdir()
                  if p.name not in ODD_VARIANTS)  # fmt: skip


# --- flite ----------------------------------------------------------------------------------------


class _FliteWave(ctypes.Structure):
    """The head of `cst_wave` of flite's cst_wave.h."""

    _fields_ = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _FliteVoice(ctypes.Structure):
    """The head of `cst_voice` of flite's cst_voice.h."""

    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]


class Flite:
    """One voice of flite's library."""

    def __init__(self, voice: str) -> None:
        self.name = voice
        self.library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        self.library.flite_init()
        for part in ("cmulex", "usenglish"):
            ctypes.CDLL(f"libflite_{part}.so.1", mode=ctypes.RTLD_GLOBAL)
        register = getattr(ctypes.CDLL(f"libflite_cmu_us_{voice}.so.1"), f"register_cmu_us_{voice}")
        register.restype = ctypes.POINTER(_FliteVoice)
        self.voice = register(None)
        for function, result, arguments in (
            ("flite_synth_text", "p", "sp"), ("utt_wave", "w", "p"), ("delete_utterance", "", "p"),
            ("utt_relation", "p", "ps"), ("relation_head", "p", "p"), ("item_next", "p", "p"),
            ("item_as", "p", "ps"), ("item_parent", "p", "p"), ("item_daughter", "p", "p"),
            ("item_feat_float", "f", "ps"), ("item_feat_string", "s", "ps"),
            ("feat_set_float", "", "psf"),
        ):  # fmt: skip
            types = {"p": ctypes.c_void_p, "s": ctypes.c_char_p, "f": ctypes.c_float, "": None,
                     "w": ctypes.POINTER(_FliteWave)}  # fmt: skip
            getattr(self.library, function).restype = types[result]
            getattr(self.library, function).argtypes = [types[a] for a in arguments]

    def _items(self, head: int | None) -> Iterator[int]:
        while head:
            yield head
            head = self.library.item_next(head)

    def speak(self, raw: str, rng: random.Random) -> Speech | None:
        """The sentence with a random duration stretch, mean pitch and pitch deviation."""
        library = self.library
        features = self.voice.contents.features
        library.feat_set_float(features, b"duration_stretch", rng.uniform(0.75, 1.3))
        library.feat_set_float(
            features, b"int_f0_target_mean", rng.uniform(*FLITE_PITCH[self.name])
        )
        library.feat_set_float(features, b"int_f0_target_stddev", rng.uniform(8, 35))
        utterance = library.flite_synth_text(raw.encode(), self.voice)
        if not utterance:
            return None
        sound = library.utt_wave(utterance).contents
        rate = int(sound.sample_rate)
        wave = _floats(sound.samples, sound.num_samples)
        phones = []
        span: dict[int, tuple[float, float]] = {}
        start = 0.0
        for item in self._items(library.relation_head(library.utt_relation(utterance, b"Segment"))):
            end = library.item_feat_float(item, b"end")
            phones.append(
                (phone_of_festival(library.item_feat_string(item, b"name").decode()), end)
            )
            syllable = library.item_parent(library.item_as(item, b"SylStructure") or 0)
            word = library.item_parent(syllable) if syllable else None
            token = library.item_parent(library.item_as(word, b"Token")) if word else None
            if token:
                span[token] = (span.get(token, (start, end))[0], end)
            start = end
        tokens = self._items(library.relation_head(library.utt_relation(utterance, b"Token")))
        words = [span.get(token) for token in tokens]
        library.delete_utterance(utterance)
        return Speech(wave, rate, phones, words, f"flite:{self.name}")


def phone_of_festival(name: str) -> str:
    """One of `PHONES` for a phone of festival's or flite's American voices."""
    name = {"pau": "sil", "h#": "sil", "brth": "sil", "ax": "ah", "axr": "er", "el": "l",
            "em": "m", "en": "n", "dx": "d", "hv": "hh", "nx": "n"}.get(name, name)  # fmt: skip
    return name if name in PHONES else "?"


# --- festival -------------------------------------------------------------------------------------

FESTIVAL_SCRIPT = """
(define (dump_times utt)
  (mapcar (lambda (s)
            (format t "phone %s %f\\n" (item.name s) (item.feat s "end")))
          (utt.relation.items utt 'Segment))
  (mapcar (lambda (token)
            (let ((words (item.daughters (item.relation token 'Token))))
              (mapcar (lambda (w) (format t "word %f %f\\n" (item.feat w "word_start")
                                          (item.feat w "word_end"))) words)
              (if words (format t "token\\n"))))
          (utt.relation.items utt 'Token)))
"""


def festival(
    voice: str, raws: list[str], rng: random.Random, folder: Path
) -> Iterator[Speech | None]:
    """All sentences in one festival process, each with a random duration stretch."""
    script = [FESTIVAL_SCRIPT, f"(voice_{voice})"]
    for number, raw in enumerate(raws):
        quoted = raw.replace("\\", " ").replace('"', " ")
        script += [
            f"(Parameter.set 'Duration_Stretch {rng.uniform(0.8, 1.3):.2f})",
            f'(set! utt (utt.synth (Utterance Text "{quoted}")))',
            f'(utt.save.wave utt "{folder / str(number)}.wav" \'riff)',
            f'(format t "utterance {number}\\n")',
            "(dump_times utt)",
        ]
    (folder / "job.scm").write_text("\n".join(script))
    answer = subprocess.run(
        ["festival", "-b", folder / "job.scm"], capture_output=True, text=True, timeout=900
    )
    found: dict[int, tuple[list[tuple[str, float]], list[tuple[float, float] | None]]] = {}
    spans: list[tuple[float, float]] = []
    phones: list[tuple[str, float]] = []
    words: list[tuple[float, float] | None] = []
    for line in answer.stdout.splitlines():
        match line.split():
            case ["utterance", index]:
                phones, words = found.setdefault(int(index), ([], []))
            case ["phone", name, end]:
                phones.append((phone_of_festival(name), float(end)))
            case ["word", start, end]:
                if float(end) > 0:  # a clitic without a syllable of its own has no times
                    spans.append((float(start), float(end)))
            case ["token"]:
                words.append((spans[0][0], spans[-1][1]) if spans else None)
                spans = []
    for number in range(len(raws)):
        path = folder / f"{number}.wav"
        if path.exists() and number in found:
            wave, rate = soundfile.read(path, dtype="float32")
            yield Speech(wave, rate, *found[number], f"festival:{voice}")
        else:
            yield None


# --- all ------------------------------------------------------------------------------------------


def synthesize(
    kind: str, sentences: list[Sentence], rng: random.Random
) -> Iterator[tuple[Sentence, Speech]]:
    """One job: sentences by one synthesizer (a key of `SHARES`), those that fail left out."""
    engine, _, voice = kind.partition(":")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spoken: Iterator[Speech | None]
        if engine == "espeak":
            data = shutil.copytree(ESPEAK_DATA, folder / "espeak-ng-data")
            espeak = Espeak(data)
            spoken = (espeak.speak(sentence.raw, rng) for sentence in sentences)
        elif engine == "flite":
            flite = Flite(voice)
            spoken = (flite.speak(sentence.raw, rng) for sentence in sentences)
        else:
            spoken = festival(voice, [sentence.raw for sentence in sentences], rng, folder)
        for sentence, speech in zip(sentences, spoken, strict=True):
            if speech and len(speech.words) == len(sentence.text.split()):
                yield sentence, speech


def as_recorded(speech: Speech, rng: random.Random) -> Speech:
    """At 16 kHz; half of it played faster or slower: another pitch and another vocal tract."""
    factor = rng.uniform(0.86, 1.17) if rng.random() < 0.5 else 1.0
    wave = soxr.resample(speech.wave, speech.rate * factor, SAMPLE_RATE).astype(np.float32)
    phones = [(phone, end / factor) for phone, end in speech.phones]
    words = [span and (span[0] / factor, span[1] / factor) for span in speech.words]
    return Speech(wave, SAMPLE_RATE, phones, words, speech.voice)
