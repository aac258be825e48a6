"""What Hebrew writes otherwise than it is said, and the gender of a number after its noun."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Gender: TypeAlias = Literal["masculine", "feminine"]

_READ_IN_FULL = {
    'אח"כ': "אחר כך",
    'אחה"צ': "אחר הצהריים",
    'אע"פ': "אף על פי",
    'ארה"ב': "ארצות הברית",
    'בד"כ': "בדרך כלל",
    'בי"ח': "בית חולים",
    'בי"ס': "בית ספר",
    'ביה"ח': "בית החולים",
    'ביה"ס': "בית הספר",
    'ביהמ"ש': "בית המשפט",
    "גב'": "גברת",
    "דק'": "דקות",
    'ד"ר': "דוקטור",
    "וגו'": "וגומר",
    "וכד'": "וכדומה",
    "וכו'": "וכולי",
    'ז"א': "זאת אומרת",
    "טל'": "טלפון",
    'יו"ר': "יושב ראש",
    'כ"כ': "כל כך",
    "לדוג'": "לדוגמה",
    'לפנה"ס': "לפני הספירה",
    'לפנה"צ': "לפני הצהריים",
    'מ"מ': "מילימטר",
    'מ"ר': "מטר רבוע",
    "מס'": "מספר",
    'סה"כ': "סך הכול",
    'ס"מ': "סנטימטר",
    'ע"י': "על ידי",
    'ע"פ': "על פי",
    'עו"ד': "עורך דין",
    'עכ"פ': "על כל פנים",
    "עמ'": "עמוד",
    'עפ"י': "על פי",
    "פרופ'": "פרופסור",
    'ק"ג': "קילוגרם",
    'ק"מ': "קילומטר",
    'רה"מ': "ראש הממשלה",
    "רח'": "רחוב",
    'ש"ח': "שקלים",
    "שד'": "שדרות",
    'ת"א': "תל אביב",
}
"""Abbreviations that are read as the words they stand for. Most others are read as words of their
own (צה"ל, דו"ח, מנכ"ל, חו"ל) and need nothing but their letters."""

_NAMES = {
    "א": "אלף", "ב": "בית", "ג": "גימל", "ד": "דלת", "ו": "וו", "ז": "זין", "ח": "חית",
    "ט": "טית", "י": "יוד",
}  # fmt: skip
"""Names of the letters that number classes, days and parts. ה' alone is more often the name of God,
and ר' a title."""
_SIGN = "['’‘ʼ`´׳\"״”“]"
"""Geresh and gershayim, as people type them; two of the first are also written for the second."""
_SAID = {
    short.replace('"', "'"): said
    for short, said in (
        *_READ_IN_FULL.items(),
        *((f"{letter}'", name) for letter, name in _NAMES.items()),
        *((f"י'{letter}", f"יוד {_NAMES[letter]}") for letter in "אבגדזחט"),
    )
}
_SHORT = re.compile(
    rf"(?<![א-ת])(?<!{_SIGN})([ובהכלמש]{{0,3}}?)"
    rf"({'|'.join(_SAID).replace(chr(39), _SIGN + '{1,2}')})(?!{_SIGN}?[א-ת])"
)

_MARKS = "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
"""Points and accents, as part of a regular expression's class."""
_MARK = re.compile(f"[{_MARKS}]")
_LORD = re.compile(
    rf"(?<![א-ת{_MARKS}])((?:[ובהכלמש][{_MARKS}]*){{0,3}}?)י[{_MARKS}]*ה[{_MARKS}]*ו[{_MARKS}]*ה[{_MARKS}]*"
    r"(?![א-ת])"
)
"""The name of God, which is read as another word."""

_MASCULINE = re.compile(
    # Singulars, which stand after eleven and more, and after a half.
    "אחוז|אירו|אלף|גרם|דולר|דונם|חודש|יום|איש|ליטר|מטר|מיליון|מיליארד|מילימטר|סנטימטר|קילו|"
    "קילוגרם|קילומטר|שקל|שבוע|"
    # Plurals in -ot.
    "אבות|אוצרות|ארונות|ארמונות|דוחות|דורות|זיכרונות|חלומות|חלונות|חסרונות|חשבונות|יסודות|"
    "יתרונות|כוחות|כיסאות|לוחות|לילות|מזלגות|מפתחות|מקומות|מקורות|מקלות|ניסיונות|סודות|עפרונות|"
    "עקרונות|פתרונות|קולות|קירות|רחובות|רעיונות|שבועות|שולחנות|שטרות|שמות|"
    # Months, after the day.
    "ב?(?:ינואר|פברואר|מרץ|מרס|אפריל|מאי|יוני|יולי|אוגוסט|ספטמבר|אוקטובר|נובמבר|דצמבר)"
)
_FEMININE = re.compile(
    # Plurals in -im, and pairs.
    "אבנים|ביצים|דבורים|דרכים|מילים|נמלים|נשים|ערים|פעמים|שנים|תאנים|"
    "אוזניים|ברכיים|ידיים|כתפיים|עיניים|רגליים|שיניים"
)
_NEXT = re.compile(r"\s([א-ת]{2,})")


def written_out(text: str) -> str:
    """The text with abbreviations and single letters as the words that are said for them."""
    text = _LORD.sub(r"\1אדוני", text)
    return _SHORT.sub(lambda found: found[1] + _SAID[re.sub(f"{_SIGN}+", "'", found[2])], text)


def without_marks(text: str) -> str:
    """The text without Hebrew points and accents; with them it looks like the Bible's language."""
    return text if text.isascii() else _MARK.sub("", text)


def gender_of_next(text: str) -> Gender | None:
    """The gender of the noun that a text begins with, by its ending; None: not known.

    Args:
        text: what follows a number, from its space on.
    """
    found = _NEXT.match(text)
    if found is None:
        return None
    noun = found[1]
    if _FEMININE.fullmatch(noun):
        return "feminine"
    if _MASCULINE.fullmatch(noun) or noun.endswith("ים"):
        return "masculine"
    return "feminine" if noun.endswith("ות") else None
