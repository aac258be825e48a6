"""How languages write numbers and name symbols: data for `corpus.text.numbers`.

num2words names the numbers. What it lacks is here: decimal marks, written ordinals, names of
symbols. What is not certain for a language is left out; the character then stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How one language writes numbers and says symbols."""

    marks: Mapping[str, str] = field(default_factory=dict)
    """Decimal marks and their names, the usual one first; an empty name: num2words has a phrase."""
    groups: str = ""
    """Marks between groups of three digits (a regular expression's class)."""
    whole_fraction: bool = False
    """Whether two decimals are read as a number (3,14: trois virgule quatorze)."""
    ordinal: str = ""
    """What follows the digits of an ordinal (a regular expression)."""
    symbols: Mapping[str, str] = field(default_factory=dict)
    """Names of symbols: one form, `one/many`, or the three forms of Slavic languages."""
    hour: str = ""
    """Said between hours and minutes."""


# A space, also an unbreakable or thin one; in English and Hebrew a plain space is none of these.
_THIN = "\u00a0\u202f\u2009"
_COMMA = rf".\u0020{_THIN}'’"
_DOT = f",{_THIN}"
_GERMAN_MONTH = (
    r"\.(?=\s(?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|"
    r"Dezember)\b)"
)

NUMBER_FORMATS: Mapping[str, NumberFormat] = MappingProxyType(
    {
        "en": NumberFormat(
            marks={".": "point"},
            groups=_DOT,
            ordinal="st|nd|rd|th",
            symbols={
                "%": "percent",
                "&": "and",
                "@": "at",
                "+": "plus",
                "=": "equals",
                "°": "degree/degrees",
                "$": "dollar/dollars",
                "€": "euro/euros",
                "£": "pound/pounds",
                "₪": "shekel/shekels",
                "¥": "yen",
            },
        ),
        "he": NumberFormat(
            marks={".": "נקודה"},
            groups=_DOT,
            symbols={
                "%": "אחוז",
                "&": "ו",
                "@": "שטרודל",
                "+": "פלוס",
                "=": "שווה",
                "°": "מעלה/מעלות",
                "$": "דולר",
                "€": "אירו",
                "₪": "שקל/שקלים",
            },
        ),
        "de": NumberFormat(
            marks={",": "Komma", ".": "Punkt"},
            groups=_COMMA,
            ordinal=_GERMAN_MONTH,
            symbols={
                "%": "Prozent",
                "&": "und",
                "@": "at",
                "+": "plus",
                "=": "gleich",
                "°": "Grad",
                "$": "Dollar",
                "€": "Euro",
                "£": "Pfund",
                "₪": "Schekel",
            },
            hour="Uhr",
        ),
        "fr": NumberFormat(
            marks={",": "virgule", ".": "point"},
            groups=_COMMA,
            whole_fraction=True,
            ordinal="ers?|re|ère|e|è|ème|eme|nde?",
            symbols={
                "%": "pour cent",
                "&": "et",
                "@": "arobase",
                "+": "plus",
                "=": "égale",
                "°": "degré/degrés",
                "$": "dollar/dollars",
                "€": "euro/euros",
                "£": "livre/livres",
                "₪": "shekel/shekels",
            },
            hour="heures",
        ),
        "es": NumberFormat(
            marks={",": "coma", ".": "punto"},
            groups=_COMMA,
            whole_fraction=True,
            ordinal=r"\.?[ºª]",
            symbols={
                "%": "por ciento",
                "&": "y",
                "@": "arroba",
                "+": "más",
                "=": "igual a",
                "°": "grado/grados",
                "$": "dólar/dólares",
                "€": "euro/euros",
                "£": "libra/libras",
            },
        ),
        "pt": NumberFormat(
            marks={",": "vírgula", ".": "ponto"},
            groups=_COMMA,
            whole_fraction=True,
            ordinal=r"\.?[ºª]",
            symbols={
                "%": "por cento",
                "&": "e",
                "@": "arroba",
                "+": "mais",
                "=": "igual a",
                "°": "grau/graus",
                "$": "dólar/dólares",
                "€": "euro/euros",
                "£": "libra/libras",
            },
        ),
        "it": NumberFormat(
            marks={",": "virgola", ".": "punto"},
            groups=_COMMA,
            whole_fraction=True,
            ordinal=r"\.?[ºª]",
            symbols={
                "%": "per cento",
                "&": "e",
                "@": "chiocciola",
                "+": "più",
                "=": "uguale",
                "°": "grado/gradi",
                "$": "dollaro/dollari",
                "€": "euro",
                "£": "sterlina/sterline",
            },
        ),
        "ru": NumberFormat(
            marks={",": "", ".": "точка"},
            groups=_COMMA,
            ordinal="-(?:й|я|е|го|му|ой|ый|ий|ая|ое|ого|ому|ым|ом|х|м|ми|ю|ую)",
            symbols={
                "%": "процент/процента/процентов",
                "&": "и",
                "@": "собака",
                "+": "плюс",
                "=": "равно",
                "°": "градус/градуса/градусов",
                "$": "доллар/доллара/долларов",
                "€": "евро",
                "£": "фунт/фунта/фунтов",
                "₪": "шекель/шекеля/шекелей",
                "₽": "рубль/рубля/рублей",
            },
        ),
        "uk": NumberFormat(
            marks={",": "кома", ".": "крапка"},
            groups=_COMMA,
            whole_fraction=True,
            symbols={
                "%": "відсоток/відсотки/відсотків",
                "+": "плюс",
                "=": "дорівнює",
                "°": "градус/градуси/градусів",
                "$": "долар/долари/доларів",
                "€": "євро",
                "£": "фунт/фунти/фунтів",
                "₴": "гривня/гривні/гривень",
            },
        ),
        "pl": NumberFormat(
            marks={",": "przecinek", ".": "kropka"},
            groups=_COMMA,
            whole_fraction=True,
            symbols={
                "%": "procent",
                "&": "i",
                "@": "małpa",
                "+": "plus",
                "=": "równa się",
                "°": "stopień/stopnie/stopni",
                "$": "dolar/dolary/dolarów",
                "€": "euro",
                "£": "funt/funty/funtów",
            },
        ),
        "cs": NumberFormat(
            marks={",": "celá", ".": "tečka"},
            groups=_COMMA,
            whole_fraction=True,
            symbols={
                "%": "procento/procenta/procent",
                "&": "a",
                "@": "zavináč",
                "+": "plus",
                "=": "rovná se",
                "°": "stupeň/stupně/stupňů",
                "$": "dolar/dolary/dolarů",
                "€": "euro/eura/eur",
                "£": "libra/libry/liber",
            },
        ),
        "nl": NumberFormat(
            marks={",": "komma", ".": "punt"},
            groups=_COMMA,
            ordinal="e|ste|de",
            symbols={
                "%": "procent",
                "&": "en",
                "+": "plus",
                "°": "graad/graden",
                "$": "dollar",
                "€": "euro",
                "£": "pond",
            },
            hour="uur",
        ),
        "sv": NumberFormat(
            marks={",": "komma", ".": "punkt"},
            groups=_COMMA,
            ordinal=":[ae]",
            symbols={
                "%": "procent",
                "&": "och",
                "+": "plus",
                "=": "lika med",
                "°": "grad/grader",
                "$": "dollar",
                "€": "euro",
                "£": "pund",
            },
        ),
        "da": NumberFormat(
            marks={",": "komma"},
            groups=_COMMA,
            symbols={"%": "procent", "&": "og", "+": "plus", "°": "grad/grader", "€": "euro"},
        ),
        "no": NumberFormat(
            marks={",": "komma"},
            groups=_COMMA,
            symbols={"%": "prosent", "&": "og", "+": "pluss", "°": "grad/grader", "€": "euro"},
        ),
        "fi": NumberFormat(
            marks={",": "pilkku", ".": "piste"},
            groups=_COMMA,
            symbols={
                "%": "prosentti/prosenttia",
                "&": "ja",
                "+": "plus",
                "°": "aste/astetta",
                "$": "dollari/dollaria",
                "€": "euro/euroa",
            },
        ),
        "ca": NumberFormat(marks={",": "coma", ".": "punt"}, groups=_COMMA, whole_fraction=True),
        "hu": NumberFormat(marks={",": "egész"}, groups=_COMMA, whole_fraction=True),
        "id": NumberFormat(marks={",": "koma", ".": "titik"}, groups=_COMMA),
        "ro": NumberFormat(marks={",": "virgulă", ".": "punct"}, groups=_COMMA),
        "tr": NumberFormat(marks={",": "virgül", ".": "nokta"}, groups=_COMMA, whole_fraction=True),
        "vi": NumberFormat(marks={",": "phẩy", ".": "chấm"}, groups=_COMMA),
        "ja": NumberFormat(marks={".": "点"}, groups=_DOT),
        "ko": NumberFormat(marks={".": "점"}, groups=_DOT),
        "th": NumberFormat(marks={".": "จุด"}, groups=_DOT),
    }
)
"""By num2words' code. In its other languages only plain digits are read out."""

# Amharic is left out: num2words 0.5.14 loops without end on 1,234,567.
_SAME_CODE = (
    "ar", "az", "be", "bn", "ca", "ce", "cs", "cy", "da", "de", "en", "eo", "es", "fa", "fi",
    "fr", "he", "hu", "id", "is", "it", "ja", "kn", "ko", "lt", "lv", "nl", "no", "pl", "pt",
    "ro", "ru", "sk", "sl", "sr", "sv", "te", "tet", "tg", "th", "tr", "uk", "vi",
)  # fmt: skip
NUM2WORDS: Mapping[str, str] = MappingProxyType({code: code for code in _SAME_CODE} | {"kk": "kz"})
"""ISO 639 codes of languages to num2words' codes for them."""
