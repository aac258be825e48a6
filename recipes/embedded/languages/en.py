"""English, from texts that installed Debian packages carry.

Every source is public domain or under a licence that lets anything be made of it; none is under a
documentation licence. `LICENSES.md` says the same in prose.
"""

import gzip
import random
import re
from collections.abc import Iterable
from pathlib import Path

from asr_gate.embedded.encoding import ALPHABETS
from recipes.embedded.language import Language, Sentence, Source

WORDNET = Path("/usr/share/wordnet")
DEVIL = Path("/usr/share/dictd/devil.dict.dz")
JARGON = Path("/usr/share/dictd/jargon.dict.dz")
WORD_LIST = Path("/usr/share/dict/american-english")

MAX_WORDS = 15
PLAIN = re.compile(r"[A-Za-z' ,;:.?!-]+")
# Synthesizers read these out as something else than their letters.
READ_OTHERWISE = re.compile(
    r"\b[A-Z]{2,}\b|\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|etc|vs|eg|ie|Inc|Co|no|No|ca|cf|esp|usu)\b\.?"
    r"|[A-Za-z]\.[A-Za-z]|\.\.|--|\b(?![aAIO]\b)[A-Za-z]\b"
)
# fmt: off
DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS = (
    *DIGITS, "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty",
    "ninety", "hundred", "thousand",
)
# fmt: on


def _wordnet_notes() -> Iterable[str]:
    for part in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{part}").read_text("utf-8", "ignore").splitlines():
            if "|" in line:
                yield line.split("|", 1)[1]


def _wordnet_examples() -> Iterable[str]:
    for note in _wordnet_notes():
        yield from re.findall(r'"([^"]+)"', note)


def _wordnet_definitions() -> Iterable[str]:
    for note in _wordnet_notes():
        yield re.sub(r"\([^)]*\)", " ", note.split('"', 1)[0]).strip(" ;")


def _dictionary(path: Path) -> Iterable[str]:
    with gzip.open(path, "rt", encoding="utf-8", errors="ignore") as text:
        return re.split(r"(?<=[.?!;:])\s+|\n\s*\n", text.read())


SOURCES: dict[str, Source] = {
    "wordnet-examples": Source("wordnet-base", "WordNet 3.0 license", _wordnet_examples),
    "wordnet-definitions": Source("wordnet-base", "WordNet 3.0 license", _wordnet_definitions),
    "devils-dictionary": Source("dict-devil", "public domain", lambda: _dictionary(DEVIL)),
    "jargon-file": Source("dict-jargon", "public domain", lambda: _dictionary(JARGON)),
}


def normalise(raw: str) -> str:
    """Lower-case letters, inner apostrophes and single spaces."""
    text = re.sub(r"[^a-z' ]", " ", raw.lower().replace("’", "'"))
    return " ".join(re.sub(r"(?<![a-z])'|'(?![a-z])", " ", text).split())


def _accept(raw: str, known: set[str]) -> tuple[str, str] | None:
    raw = " ".join(raw.replace("-", " ").split()).strip(" ,;:")
    if not PLAIN.fullmatch(raw) or READ_OTHERWISE.search(raw):
        return None
    text = normalise(raw)
    words = text.split()
    if not 3 <= len(words) <= MAX_WORDS or len(words) != len(raw.split()):
        return None
    return (raw, text) if all(word in known for word in words) else None


def _number_phrases(count: int, rng: random.Random) -> list[Sentence]:
    """Numbers spelled out, which the texts above hardly hold."""
    phrases = []
    for _ in range(count):
        pool = DIGITS if rng.random() < 0.6 else NUMBERS
        text = " ".join(rng.choices(pool, k=rng.randint(1, 7)))
        phrases.append(Sentence(text, text, "numbers"))
    return phrases


def sentences(rng: random.Random, numbers: int = 600, short: int = 900) -> list[Sentence]:
    """All usable sentences, shuffled, each text once; some cut down to one or two words."""
    known = {line.strip().lower() for line in WORD_LIST.read_text("utf-8").splitlines()}
    seen: set[str] = set()
    found = []
    for name, source in SOURCES.items():
        for raw in source.read():
            accepted = _accept(raw, known)
            if accepted and accepted[1] not in seen:
                seen.add(accepted[1])
                found.append(Sentence(*accepted, name))
    rng.shuffle(found)
    cut = []
    for sentence in found[:short]:
        size = rng.randint(1, 2)
        start = rng.randint(0, len(sentence.text.split()) - size)
        raw, text = (
            " ".join(s.split()[start : start + size]) for s in (sentence.raw, sentence.text)
        )
        cut.append(Sentence(raw.strip(" ,;:.?!"), text, sentence.source))
    mixed = cut + found[short:] + _number_phrases(numbers, rng)
    rng.shuffle(mixed)
    return mixed


# --- voices ---------------------------------------------------------------------------------------

BRITISH = ("en", "en-gb-x-rp", "en-gb-scotland")


def _kokoro_accent(voice: str, rng: random.Random) -> str:
    british = voice.startswith("b") or rng.random() < 0.15
    return rng.choice(BRITISH) if british else "en-us"


LANGUAGE = Language(
    code="en",
    tokens=ALPHABETS["en"],
    sources=SOURCES,
    sentences=sentences,
    normalise=normalise,
    shares={
        "kokoro": 0.4,
        "espeak": 0.24,
        "flite:slt": 0.09,
        "flite:rms": 0.09,
        "flite:awb": 0.09,
        "flite:kal16": 0.02,
        "festival:cmu_us_slt_arctic_hts": 0.03,
        "festival:kal_diphone": 0.04,
    },
    held_out="festival:ked_diphone",
    accents=(
        "en-us", "en-us", "en-us", "en-us", "en-us", "en", "en", "en-gb-scotland", "en-gb-x-rp",
        "en-us-nyc", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
    ),
    packages=(
        "espeak-ng-data", "libespeak-ng1", "libflite1", "festival", "festvox-kallpc16k",
        "festvox-kdlpc16k", "festvox-us-slt-hts", "wordnet-base", "dict-devil", "dict-jargon",
        "wamerican",
    ),
    kokoro_accent=_kokoro_accent,
    kokoro_symbols={"r": "ɹ", "g": "ɡ", "x": "k", "ɬ": "l", "ɫ": "l", "ʉ": "u", "ʍ": "w"},
    kokoro_native="ab",
)  # fmt: skip
