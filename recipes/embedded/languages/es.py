"""Spanish, from the translations of two web frameworks: what a further language needs.

No model of it comes with the project. espeak-ng reads the texts itself.
"""

import random
import re
import unicodedata

from recipes.embedded import packages
from recipes.embedded.language import Language, Sentence, Source

WORDS = range(2, 16)
PLAIN = re.compile(r"[A-Za-zÁÉÍÓÚÜÑáéíóúüñ ,;:.?!¿¡]+")
READ_OTHERWISE = re.compile(r"\b\w*[A-Z]{2,}\w*\b|\.\.|[a-z]\.[a-z]")
DJANGO = "django-*.whl"
WAGTAIL = "wagtail-*.whl"

SOURCES: dict[str, Source] = {
    "django": Source(DJANGO, "BSD-3-Clause", lambda: packages.mo(DJANGO, "*/es/*.mo")),
    "wagtail": Source(WAGTAIL, "BSD-3-Clause", lambda: packages.mo(WAGTAIL, "*/es/*.mo")),
}


def normalise(raw: str) -> str:
    """Lower-case letters without accents, but ñ, and single spaces."""
    parts = unicodedata.normalize("NFD", raw.lower().replace("ñ", "\0"))
    letters = "".join(part for part in parts if not unicodedata.combining(part))
    return " ".join(re.sub("[^a-zñ ]", " ", letters.replace("\0", "ñ")).split())


def sentences(rng: random.Random) -> list[Sentence]:
    """All usable sentences, shuffled, each text once."""
    found: dict[str, Sentence] = {}
    for name, source in SOURCES.items():
        for text in source.read():
            for part in re.split(r"(?<=[.?!:])\s+|\n", text):
                raw = " ".join(part.split())
                if PLAIN.fullmatch(raw) and not READ_OTHERWISE.search(raw):
                    sentence = Sentence(raw, normalise(raw), name)
                    if len(raw.split()) == len(sentence.text.split()) in WORDS:
                        found.setdefault(sentence.text, sentence)
    mixed = list(found.values())
    rng.shuffle(mixed)
    return mixed


LANGUAGE = Language(
    code="es",
    tokens=("<blank>", *"abcdefghijklmnopqrstuvwxyz", "ñ", " "),
    sources=SOURCES,
    sentences=sentences,
    normalise=normalise,
    shares={"espeak": 1.0},
    held_out="espeak:es-419",
    accents=("es",),
    packages=("espeak-ng-data", "libespeak-ng1"),
    archives=(DJANGO, WAGTAIL),
    phones={
        "a": "aa", "e": "eh", "o": "ao", "i": "iy", "β": "b", "ɣ": "g", "x": "hh", "r": "r",
        "ɾ": "r", "ɲ": "ng", "ʝ": "y", "ʎ": "y",
    },
)  # fmt: skip
