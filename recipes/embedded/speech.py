"""Speech with phone and word times, from free synthesizers.

flite, like espeak-ng, is called in this process through its C library, which is fast and gives the
times that its command line hides; festival runs as a process for a whole job of sentences.
"""

import ctypes
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from asr_gate.embedded.encoding import SAMPLE_RATE
from asr_gate.embedded.network import PHONES
from recipes.embedded.espeak import ESPEAK_DATA, Espeak
from recipes.embedded.kokoro import Kokoro
from recipes.embedded.language import Language, Sentence
from recipes.embedded.spoken import Speech, floats

FLITE_PITCH = {"slt": (130, 240), "rms": (75, 140), "awb": (85, 165), "kal16": (80, 150)}
"""Mean fundamental frequencies in Hz that the voice still sounds human at."""


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
        wave = floats(sound.samples, sound.num_samples)
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
    kind: str, language: Language, sentences: list[Sentence], rng: random.Random
) -> Iterator[tuple[Sentence, Speech]]:
    """One job: sentences by one synthesizer, `engine` or `engine:voice`; less those that fail."""
    engine, _, voice = kind.partition(":")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spoken: Iterator[Speech | None]
        if engine == "espeak":
            data = shutil.copytree(ESPEAK_DATA, folder / "espeak-ng-data")
            espeak = Espeak(data, language)
            spoken = (espeak.speak(sentence.raw, rng, voice) for sentence in sentences)
        elif engine == "kokoro":
            kokoro = Kokoro(language)
            spoken = (kokoro.speak(sentence.raw, rng, voice) for sentence in sentences)
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
