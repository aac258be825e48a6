"""Which scripts a language is written in, and whether a text is written in them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from asr_gate.corpus.text.language import language_code

SCRIPTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        language: tuple(scripts.split())
        for scripts, languages in {
            "Latn": (
                "af afr afrikaans sq sqi alb albanian eu eus baq basque br bre breton ca cat "
                "catalan hr hrv croatian cs ces cze czech da dan danish nl nld dut dutch flemish "
                "en eng english eo epo esperanto et est estonian fo fao faroese fi fin finnish fr "
                "fra fre french gl glg galician de deu ger german ht hat haitian haw hawaiian hu "
                "hun hungarian is isl ice icelandic ig ibo igbo id ind in indonesian ga gle irish "
                "it ita italian la lat latin lv lav lvs latvian ln lin lingala lt lit lithuanian "
                "lb ltz luxembourgish mg mlg malagasy mt mlt maltese mi mri mao maori no nor nb "
                "nob nn nno norwegian nynorsk oc oci occitan pl pol polish pt por portuguese ro "
                "ron rum romanian moldavian rw kin kinyarwanda sn sna shona sk slk slo slovak sl "
                "slv slovenian slovene so som somali es spa spanish castilian sw swa swh swahili "
                "ast fy fry frisian gd gla hsb dsb ia ina io ido kab "
                "sv swe swedish tl tgl tagalog fil filipino tr tur turkish vi vie vietnamese cy "
                "cym wel welsh xh xho xhosa yo yor yoruba zu zul zulu"
            ),
            "Hebr": "he heb iw hebrew yi yid ji yiddish",
            "Arab": (
                "ar ara arb arabic fa fas per pes persian farsi ur urd urdu ps pus pashto ug uig "
                "uyghur ckb"
            ),
            "Arab Latn": "ms msa may malay ku kur kurdish ha hau hausa",
            "Arab Deva": "sd snd sindhi ks kas kashmiri",
            "Guru Arab": "pa pan punjabi panjabi",
            "Cyrl": (
                "ru rus russian uk ukr ukrainian be bel belarusian bg bul bulgarian mk mkd mac "
                "macedonian ky kir kyrgyz tg tgk tajik tt tat tatar ba bak bashkir ce che chechen "
                "cv chv chuvash os oss ossetian udm"
            ),
            "Cyrl Latn": (
                "sr srp serbian bs bos bosnian kk kaz kazakh uz uzb uzbek tk tuk turkmen az aze "
                "azj azerbaijani"
            ),
            "Cyrl Mong": "mn mon mongolian",
            "Grek": "el ell gre greek",
            "Armn": "hy hye arm armenian",
            "Geor": "ka kat geo georgian",
            "Ethi": "am amh amharic ti tir tigrinya",
            "Deva": "hi hin hindi mr mar marathi ne nep npi nepali sa san sanskrit",
            "Beng": "bn ben bengali bangla as asm assamese",
            "Gujr": "gu guj gujarati",
            "Orya": "or ori ory odia oriya",
            "Taml": "ta tam tamil",
            "Telu": "te tel telugu",
            "Knda": "kn kan kannada",
            "Mlym": "ml mal malayalam",
            "Sinh": "si sin sinhala",
            "Thai": "th tha thai",
            "Laoo": "lo lao",
            "Khmr": "km khm khmer",
            "Mymr": "my mya bur burmese myanmar",
            "Tibt": "bo bod tib tibetan",
            "Hani Bopo": "zh zho chi cmn chinese mandarin yue cantonese",
            "Hani Hira Kana": "ja jpn japanese",
            "Hang Hani": "ko kor korean",
            "Java Latn": "jv jav javanese jw",
            "Sund Latn": "su sun sundanese",
        }.items()
        for language in languages.split()
    }
)
"""ISO 639 codes and English names, in lower case, to ISO 15924 codes of scripts (after the Unicode
CLDR's likely subtags). Languages that are not here have scripts that nothing is said of."""

_SUBTAGS = {"hans": ("Hani", "Bopo"), "hant": ("Hani", "Bopo"), "jpan": ("Hani", "Hira", "Kana")}
_SUBTAGS |= {"kore": ("Hang", "Hani")}
_SUBTAGS |= {script.lower(): (script,) for scripts in SCRIPTS.values() for script in scripts}

LOOKALIKES = MappingProxyType(
    {
        **dict(zip("АВЕКМНОРСТХаеорсухі", "ABEKMHOPCTXaeopcyxi", strict=True)),
        **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True)),
    }
)
"""Cyrillic and Greek letters that are drawn as a Latin one (Unicode UTS #39, confusables)."""


ALPHABETS = frozenset(
    {
        "ARABIC", "ARMENIAN", "BENGALI", "CYRILLIC", "DEVANAGARI", "ETHIOPIC", "GEORGIAN", "GREEK",
        "GUJARATI", "GURMUKHI", "HEBREW", "KANNADA", "KHMER", "LAO", "LATIN", "MALAYALAM",
        "MYANMAR", "SINHALA", "TAMIL", "TELUGU", "THAI", "TIBETAN",
    }
)  # fmt: skip
"""Scripts as Unicode names them; those of Chinese, Japanese and Korean stand beside each other."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Letters of a text that its language is not written in."""

    letters: int
    """All letters of the text."""
    latin: int
    """Latin ones, where the language is not written in Latin letters."""
    other: int
    """Those of any other script."""
    script: str
    """What most of them are, as Unicode names them: `CYRILLIC`."""
    example: str
    """The first of them and what follows in the same script."""


def scripts_of(language: str) -> tuple[str, ...] | None:
    """ISO 15924 codes of the scripts of a language; None: not known.

    Args:
        language: code or English name; a script in it decides (`sr-Latn`).
    """
    primary, *subtags = language.strip().replace("_", "-").lower().split("-")
    for subtag in subtags:
        if subtag in _SUBTAGS:
            return _SUBTAGS[subtag]
    return SCRIPTS.get(primary) or SCRIPTS.get(language_code(primary))


def foreign_letters(text: str, scripts: tuple[str, ...]) -> Foreign | None:
    """Letters outside some scripts; None: there are none.

    Letters that belong to no script or to several (Unicode's `Script_Extensions`) are never
    foreign.
    """
    runs = list(_foreign(scripts).finditer(text))
    if not runs:
        return None
    latin = sum(len(run[0]) for run in runs if run["latin"])
    counts = Counter(_script(letter) for run in runs for letter in run[0])
    return Foreign(
        letters=len(_letters().findall(text)),
        latin=latin,
        other=counts.total() - latin,
        script=counts.most_common(1)[0][0],
        example=runs[0][0],
    )


def mixed_words(text: str) -> list[str]:
    """Words of two alphabets that no one writes together on purpose.

    Two alphabets but Latin never stand in one word. Latin does where a prefix or an ending is
    joined to a name (`SMSка`, `בWhatsApp`); with Cyrillic or Greek the word is wrong where all its
    letters of one of them can be replaced by those of the other, which look the same.
    """
    found = []
    for word in _words().findall(text):
        scripts = {_script(letter) for letter in word} & ALPHABETS
        if len(scripts - {"LATIN"}) > 1:
            found.append(word)
        elif len(word) > 2 and len(scripts) == 2 and scripts <= {"LATIN", "CYRILLIC", "GREEK"}:
            latin = {letter for letter in word if _script(letter) == "LATIN"}
            drawn = {as_latin for o, as_latin in LOOKALIKES.items() if _script(o) in scripts}
            if latin <= drawn or set(word) - latin <= set(LOOKALIKES):
                found.append(word)
    return found


def script_names(texts: Iterable[str]) -> list[str]:
    """The scripts that a tenth or more of the letters belong to, most letters first: `Hebrew`."""
    counts = Counter(_script(letter) for text in texts for letter in text if letter.isalpha())
    return [
        name.capitalize() for name, count in counts.most_common() if count >= counts.total() / 10
    ]


@cache
def _script(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name; for messages and counts."""
    return unicodedata.name(letter, "UNNAMED").split()[0].split("-")[0]


# `regex` knows scripts; the standard library does not. Here, because the rules are listed where it
# is not installed.
@cache
def _foreign(scripts: tuple[str, ...]) -> Any:
    import regex

    own = "".join(rf"\p{{scx={script}}}" for script in scripts)
    common = r"\p{sc=Zyyy}\p{sc=Zinh}"
    return regex.compile(
        rf"(?V1)(?P<latin>[\p{{L}}&&\p{{sc=Latn}}--[{own}{common}]]+)"
        rf"|[\p{{L}}--[\p{{sc=Latn}}{own}{common}]]+"
    )


@cache
def _letters() -> Any:
    import regex

    return regex.compile(r"\p{L}")


@cache
def _words() -> Any:
    import regex

    return regex.compile(r"[\p{L}\p{M}]+")
