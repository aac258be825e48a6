"""How languages write numbers and say symbols: data for `corpus.text.numbers`.

The names of numbers are num2words'. Here stands what it lacks: which mark parts the decimals, how
a written ordinal looks, what a symbol is called. What is not sure for a language is left out, and
the character then stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Habits:
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

HABITS: Mapping[str, Habits] = MappingProxyType(
    {
        "en": Habits(
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
        "he": Habits(
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
        "de": Habits(
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
        "fr": Habits(
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
        "es": Habits(
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
        "pt": Habits(
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
        "it": Habits(
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
        "ru": Habits(
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
        "uk": Habits(
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
        "pl": Habits(
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
        "cs": Habits(
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
        "nl": Habits(
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
        "sv": Habits(
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
        "da": Habits(
            marks={",": "komma"},
            groups=_COMMA,
            symbols={"%": "procent", "&": "og", "+": "plus", "°": "grad/grader", "€": "euro"},
        ),
        "no": Habits(
            marks={",": "komma"},
            groups=_COMMA,
            symbols={"%": "prosent", "&": "og", "+": "pluss", "°": "grad/grader", "€": "euro"},
        ),
        "fi": Habits(
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
        "ca": Habits(marks={",": "coma", ".": "punt"}, groups=_COMMA, whole_fraction=True),
        "hu": Habits(marks={",": "egész"}, groups=_COMMA, whole_fraction=True),
        "id": Habits(marks={",": "koma", ".": "titik"}, groups=_COMMA),
        "ro": Habits(marks={",": "virgulă", ".": "punct"}, groups=_COMMA),
        "tr": Habits(marks={",": "virgül", ".": "nokta"}, groups=_COMMA, whole_fraction=True),
        "vi": Habits(marks={",": "phẩy", ".": "chấm"}, groups=_COMMA),
        "ja": Habits(marks={".": "点"}, groups=_DOT),
        "ko": Habits(marks={".": "점"}, groups=_DOT),
        "th": Habits(marks={".": "จุด"}, groups=_DOT),
    }
)
"""Languages with habits on record. In the others that num2words knows, plain digits are read."""

CODES: Mapping[str, str] = MappingProxyType(
    {
        name: code
        for code, names in {
            # Amharic is left out: num2words 0.5.14 loops without end on 1,234,567.
            "ar": "ara arb arabic",
            "az": "aze azj azerbaijani",
            "be": "bel belarusian",
            "bn": "ben bengali bangla",
            "ca": "cat catalan",
            "ce": "che chechen",
            "cs": "ces cze czech",
            "cy": "cym wel welsh",
            "da": "dan danish",
            "de": "deu ger german",
            "en": "eng english",
            "eo": "epo esperanto",
            "es": "spa spanish castilian",
            "fa": "fas per pes persian farsi",
            "fi": "fin finnish",
            "fr": "fra fre french",
            "he": "heb iw hebrew",
            "hu": "hun hungarian",
            "id": "ind in indonesian",
            "is": "isl ice icelandic",
            "it": "ita italian",
            "ja": "jpn japanese",
            "kn": "kan kannada",
            "ko": "kor korean",
            "kz": "kk kaz kazakh",  # num2words' own code
            "lt": "lit lithuanian",
            "lv": "lav lvs latvian",
            "nl": "nld dut dutch",
            "no": "nor nb nob norwegian",
            "pl": "pol polish",
            "pt": "por portuguese",
            "ro": "ron rum romanian",
            "ru": "rus russian",
            "sk": "slk slo slovak",
            "sl": "slv slovenian slovene",
            "sr": "srp serbian",
            "sv": "swe swedish",
            "te": "tel telugu",
            "tet": "tetum",
            "tg": "tgk tajik",
            "th": "tha thai",
            "tr": "tur turkish",
            "uk": "ukr ukrainian",
            "vi": "vie vietnamese",
        }.items()
        for name in (code, *names.split())
    }
)
"""ISO 639 codes and English names, in lower case, to num2words' codes."""
