"""espeak-ng, called in this process through its C library, which gives phone and word times."""

import ctypes
import random
import re
from functools import cache
from pathlib import Path

import numpy as np

from recipes.embedded.language import Language
from recipes.embedded.spoken import Speech, Wave, floats

# fmt: off
# Whispers, creaks and toys, which teach little about voices.
ODD_VARIANTS = {
    "whisper", "whisperf", "croak", "robosoft", "robosoft2", "robosoft3", "robosoft4", "robosoft5",
    "robosoft6", "robosoft7", "robosoft8", "Demonic", "Mr", "serious", "UniRobot", "Tweaky", "fast",
    "fast_test", "Half-LifeAnnouncementSystem", "anikaRobot", "Storm",
}
# fmt: on

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


PAUSES = ",;:.!?"


def phone_of_ipa(symbol: str, language: Language) -> str:
    """One of `PHONES` for an espeak-ng phoneme written in IPA, "?" where none fits."""
    symbol = re.sub(r"[ˈˌː̩ʲ]", "", symbol)
    if not symbol or symbol.startswith("_"):
        return "sil"
    if symbol in language.phones:
        return language.phones[symbol]
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
    """espeak-ng's library, started once a process."""

    def __init__(self, data: Path, language: Language) -> None:
        """`data`: espeak-ng-data; for `speak` a copy, as that adds random variants."""
        self.folder = data
        self.language = language
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        synchronous, phoneme_events_in_ipa = 2, 3
        self.rate = self.library.espeak_Initialize(
            synchronous, 0, str(data.parent).encode(), phoneme_events_in_ipa
        )
        self.samples: list[Wave] = []
        self.events: list[tuple[int, int, int, str]] = []
        self.callback = _CALLBACK(self._collect)  # kept alive as long as the library may call it
        self.library.espeak_SetSynthCallback(self.callback)
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def _collect(self, wave: object, count: int, events: object) -> int:
        if wave and count > 0:
            self.samples.append(floats(wave, count))
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

    def speak(self, raw: str, rng: random.Random, accent: str = "") -> Speech | None:
        """The sentence in a random accent, unless one is given, voice variant, rate and pitch."""
        if rng.random() < 0.5:
            variant = f"x{rng.randrange(1 << 30)}"
            path = self.folder / "voices" / "!v" / variant
            path.write_text(random_variant(rng))
            name = "random"
        else:
            name = variant = rng.choice(variants())
            path = None
        accent = accent or rng.choice(self.language.accents)
        found = self.library.espeak_SetVoiceByName(f"{accent}+{variant}".encode())
        if path:
            path.unlink()
        if found:
            return None
        self.library.espeak_SetParameter(_RATE, rng.randint(115, 215), 0)
        self.library.espeak_SetParameter(_PITCH, rng.randint(30, 70), 0)
        self.library.espeak_SetParameter(_RANGE, rng.randint(20, 85), 0)
        if self.language.mnemonics:
            raw = _in_mnemonics(raw, self.language, rng)
        self._synthesize(raw)
        if not self.samples:
            return None
        wave = np.concatenate(self.samples)
        return self._speech(raw, wave, f"espeak:{accent}+{name}")

    def phonemes(self, raw: str, accent: str) -> tuple[str, list[tuple[str, int | None]]]:
        """A text in IPA, with stresses, and its phonemes one by one, each with its word's number.

        Of words that are run together all phonemes are the first one's.
        """
        self.library.espeak_SetVoiceByName(accent.encode())
        self._synthesize(raw)
        index = _words_by_position(raw)
        word: int | None = None
        phonemes = []
        for kind, position, _, symbol in self.events:
            if kind == _WORD:
                word = index.get(position, word)
            elif symbol and not symbol.startswith("_"):
                phonemes.append((symbol, word))
        rest, clauses, utf8, ipa = ctypes.c_char_p(raw.encode()), [], 1, 2
        while rest.value:
            clause = self.library.espeak_TextToPhonemes(ctypes.byref(rest), utf8, ipa)
            clauses.append(clause.decode())
        return " ".join(clauses), phonemes

    def _synthesize(self, raw: str) -> None:
        self.samples, self.events = [], []
        data = raw.encode()
        characters, utf8, mnemonics = 1, 1, 0x100
        flags = utf8 | (mnemonics if self.language.mnemonics else 0)
        self.library.espeak_Synth(data, len(data) + 1, 0, characters, 0, flags, None, None)

    def _speech(self, raw: str, wave: Wave, voice: str) -> Speech:
        total = len(wave) / self.rate
        events = [(t, p, max(s / self.rate - ESPEAK_LATE, 0.0), x) for t, p, s, x in self.events]
        starts = [(s, phone_of_ipa(x, self.language)) for t, _, s, x in events if t == _PHONEME]
        ends = [start for start, _ in starts[1:]] + [total]
        phones = [("sil", starts[0][0] if starts else total)]
        phones += [(phone, end) for (_, phone), end in zip(starts, ends, strict=True)]
        index = _words_by_position(raw)
        words: list[tuple[float, float] | None] = [None] * len(index)
        marks = [(s, index.get(p)) for t, p, s, _ in events if t == _WORD]
        for (start, word), end in zip(marks, [s for s, _ in marks[1:]] + [total], strict=True):
            if word is not None and words[word] is None and end > start:
                words[word] = (start, end)
        return Speech(wave, self.rate, phones, words, voice)


def _in_mnemonics(raw: str, language: Language, rng: random.Random) -> str:
    """IPA in espeak-ng's own notation, each word in brackets: `[[Sal'om]], [[j'eled]].`"""
    drawn = {symbol: rng.choice(ways) for symbol, ways in language.mnemonics.items()}
    words = []
    for word in raw.split():
        spoken = word.rstrip(PAUSES)
        letters = "".join(drawn[symbol] for symbol in language.symbols(spoken))
        words.append(f"[[{letters}]]{word[len(spoken) :]}")
    return " ".join(words)


def _words_by_position(raw: str) -> dict[int, int]:
    """Each word's number by the position of its first letter, counted from 1 as espeak-ng does."""
    # Before the first letter, or behind the brackets around mnemonics.
    marks = re.finditer(r"(?<!\S)(?=\S)(?:\[\[|[^\w\s]*)", raw)
    return {mark.end() + 1: number for number, mark in enumerate(marks)}


ESPEAK_LATE = 0.025
"""Seconds by which espeak-ng's events trail its sound: there vowels' energy fits their labels."""

ESPEAK_DATA = next(Path("/usr/lib").glob("*/espeak-ng-data"), Path("espeak-ng-data"))


@cache
def variants() -> list[str]:
    """The voice variants that espeak-ng brings, less the toys."""
    return sorted(p.name for p in (ESPEAK_DATA / "voices" / "!v").iterdir()
                  if p.name not in ODD_VARIANTS)  # fmt: skip
