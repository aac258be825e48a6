"""Digits and symbols as spoken words.

num2words names the numbers, `number_formats` the symbols. Where speakers differ, one reading is
chosen:

- Four digits from 1100 to 2099 without a separator are a year in English and German ("nineteen
  eighty-four"), a number elsewhere; `1980s` is a decade in English.
- Marks between groups of three are those of the language: 1,234.5 in English and Hebrew, 1.234,5
  or 1 234,5 in most of Europe. A mark that the language has no name for ends the number.
- Hebrew counts in the feminine, the usual reading of a bare number, and in the gender of the noun
  after it, as far as its ending tells (5 ילדים: חמישה ילדים); before percent and money in the
  masculine. A prefix is joined to its number (ב-5: בחמש).
- Hebrew abbreviations that are read in full are written out (ק"מ: קילומטר), and single letters by
  their names (א': אלף).
- Written ordinals are read in the nominative: gender and case beyond ª are not guessed. A German
  `3.` is an ordinal before the name of a month only.
- Digit by digit: a leading zero, telephone numbers, more than nine digits in a row.
- `$2.50` is "two dollars fifty"; 12:30 is "twelve thirty"; dates and versions go part by part.
- One before a noun is as one counts: `1 €` is "eins Euro".
- Roman numerals from II to XXXIX, in capitals and alone, are cardinals ("World War two"), of kings
  too. A lone I is a word, XX and XXX stand for what was left out, and where all words are in
  capitals others may be words as well (VI).

A word too few or in another case costs some letters of one word; left as digits, all of it.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from threading import Lock
from typing import Any

from asr_gate.corpus.text.hebrew import Gender, gender_of_next, written_out
from asr_gate.corpus.text.language import closest_code, parse_language
from asr_gate.corpus.text.number_formats import NUM2WORDS, NUMBER_FORMATS, NumberFormat

_LONGEST_RUN = 9
"""Digits in a row that are still one number and no telephone or serial number."""
_LONGEST_NOUN = 20
_YEARS = range(1100, 2100)
_REGIONS = {"pt_BR", "fr_BE", "fr_CH"}
"""Variants that name numbers otherwise than their language's main form."""
_SCALE = (
    r"(?i:thousand|(?:m|b|tr)il(?:l(?:i[oa]|[oó]n)|i[oa]|h|j)|"  # million, millón, milhão
    r"тыс|милли|міль|מיליון|מיליארד)[^\W\d_]*"
)
"""Words of magnitude, said between a sum and its currency."""
_MONEY = "$€£₪¥₽₴"
_SYMBOLS = "%&@+=°" + _MONEY
_ROMAN = (
    r"(?<![\w.])(?<!\w['’])(?=[IVX]{2})(?!XXX?(?!\w))X{0,3}(?:IX|IV|V?I{0,3})"
    r"(?!\w|['’.]\w|-(?![IVX]{1,7}(?!\w))\w)"
)
_NO_WORDS = re.compile(rf"{_ROMAN}|\[[^]]{{0,40}}]|<[^>]{{0,40}}>|(?<![0-9])[0-9]++[^\W\d_]+")
"""What may be in small letters where all words are in capitals, and Roman numerals themselves."""

# num2words keeps the state of a conversion in one object for all threads.
_one_at_a_time = Lock()


def read_out(text: str, language: str) -> str:
    """The text with numbers and symbols as words of a language.

    A number or symbol stays as written if its language or its name is not known.

    Args:
        text: any text; never raises, and takes time in proportion to its length.
        language: code or English name (`he`, `iw`, `heb`, `he-IL`, `Hebrew`).
    """
    code = num2words_code(language)
    if code is None:
        return text
    plain = "".join(str(unicodedata.decimal(c)) if _is_digit(c) else c for c in text)
    if code == "he":
        plain = written_out(plain)
    reader = _Reader(code)
    shouted = re.search(_ROMAN, plain) is not None and _shouted(plain)

    def spoken(match: re.Match[str]) -> str:
        start, end = match.span()
        gender = gender_of_next(plain[end : end + _LONGEST_NOUN]) if code == "he" else None
        words = None if match["roman"] and shouted else reader.read(match, gender)
        if words is None:
            return match[0]
        before, after = plain[max(0, start - 1) : start], plain[end : end + 1]
        # What a list or a fraction (1,2 or 1/2) holds are words of their own.
        apart = before.isalnum() or before in {",", ".", ":", ";", "/"}
        return " " * apart + words + " " * after.isalnum()

    return _pattern(code).sub(spoken, plain)


def _shouted(text: str) -> bool:
    """Whether all words are in capitals."""
    letters = [c for c in _NO_WORDS.sub("", text) if c.isalpha()]
    return bool(letters) and all(c.isupper() for c in letters)


def _is_digit(character: str) -> bool:
    return not character.isascii() and character.isdecimal()


@lru_cache
def num2words_code(language: str) -> str | None:
    code = closest_code(language, frozenset(NUM2WORDS))
    found = parse_language(language)
    if code is None or found is None:
        return None
    variant = f"{code}_{found.territory}"
    return variant if variant in _REGIONS else NUM2WORDS[code]


def _format(code: str) -> NumberFormat:
    return NUMBER_FORMATS.get(code[:2], NumberFormat())


@lru_cache
def _pattern(code: str) -> re.Pattern[str]:
    """What is read out in a language.

    All repetitions but those of plain digits are bounded, and those of digits give nothing back:
    time grows with the length of the text alone.
    """
    form = _format(code)
    groups = form.groups
    grouped = (
        rf"[1-9][0-9]{{0,2}}(?P<group>[{groups}])[0-9]{{3}}(?:(?P=group)[0-9]{{3}}){{0,3}}+"
        # A space after it may part it from another number; any other mark would have to go on.
        rf"(?![0-9]|(?P=group)(?:[0-9]{{3}}|(?<!\s)[0-9]))"
    )
    marks = "".join(re.escape(mark) for mark in form.marks)
    fraction = rf"(?:(?P<mark>[{marks}])(?P<fraction>[0-9]++)(?![.,:][0-9]))?" if marks else ""
    decade = "(?P<decade>(?<=0)['’]?s)(?![^\\W_])|" if code == "en" else ""
    ordinal = f"(?P<ordinal>(?i:{form.ordinal}))(?![^\\W_])|" if form.ordinal else ""
    money = "".join(re.escape(s) for s in _MONEY if s in form.symbols)
    counted = money + "".join(s for s in "%°" if s in form.symbols)
    before = rf"(?:(?P<money>[{money}])\s?)?" if money else ""
    after = rf"(?:\s?(?P<counted>[{counted}])(?![0-9]))?" if counted else ""
    # One, two or three of the letters that Hebrew writes together with the next word.
    before_it = r"(?:[-־–]?(?=[0-9])|[-־–](?=[IVX]{2}))"
    prefix = rf"(?:(?P<prefix>(?<![^\W_])[ובהכלמש]{{1,3}}){before_it})?" if code == "he" else ""
    whole = f"(?:{grouped}|[0-9]++)" if groups else "[0-9]++"
    not_grouped = f"(?!{grouped.replace('group', 'other')})" if groups else ""
    return re.compile(
        rf"{prefix}(?:(?P<roman>{_ROMAN})"
        rf"|(?P<time>(?<![0-9:.,])[0-9]{{1,2}}:[0-5][0-9](?::[0-5][0-9])?(?![0-9:]))"
        rf"|(?P<date>(?<![0-9])(?<![0-9]-)"
        rf"(?:[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|[0-9]{{1,2}}-[0-9]{{1,2}}-[0-9]{{4}})(?!-?[0-9]))"
        rf"|(?P<chain>(?<![0-9.,/]){not_grouped}[0-9]{{1,4}}(?P<link>[./])[0-9]{{1,4}}"
        rf"(?:(?P=link)[0-9]{{1,4}}){{1,4}}+(?!(?P=link)?[0-9]))"
        rf"|(?P<phone>(?<![0-9])(?<![0-9]-)[0-9]{{1,5}}(?:-[0-9]{{2,7}}){{1,4}}+(?!-?[0-9]))"
        rf"|(?P<number>(?:(?P<minus>(?<![^\s(\[])[-−])(?=[0-9{money}]))?{before}"
        rf"(?P<whole>{whole}){fraction}"
        rf"(?:{decade}{ordinal}(?P<scale>\s{_SCALE})?{after})?))"
        rf"|(?P<symbol>[{_SYMBOLS}]+)"
    )


class _Reader:
    """Reads the matches of one language's pattern."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.format = _format(code)

    def read(self, match: re.Match[str], gender: Gender | None = None) -> str | None:
        """The words for a match; None where it stays as written.

        Args:
            match: of the language's pattern.
            gender: of the noun that it counts, in Hebrew; None: not known.
        """
        found = match.groupdict()
        if found["symbol"]:
            # A run of symbols (`====`, `C++`) is no operation that somebody said.
            return self.symbol(found["symbol"]) if found["symbol"] in self.format.symbols else None
        if found["number"]:
            words = self.number(found, gender)
        elif found["roman"]:
            words = self.integer(str(_roman(found["roman"])))
        elif found["time"]:
            words = self.time(found["time"])
        elif found["phone"]:
            words = self.phone(found["phone"])
        else:
            parts = re.findall("[0-9]+", found["date"] or found["chain"])
            words = self.joined(*(self.integer(part.lstrip("0") or "0") for part in parts))
        return words and (found.get("prefix") or "") + words

    def number(self, found: dict[str, str | None], gender: Gender | None) -> str | None:
        """A number with whatever belongs to it."""
        whole = re.sub("[^0-9]", "", found["whole"] or "")
        grouped = whole != found["whole"]
        fraction = found.get("fraction")
        unit = found.get("money") or found.get("counted")
        scale = found["scale"] or ""
        if self.code == "he" and (scale or (unit is not None and unit != "°")):
            gender = "masculine"
        if found.get("ordinal"):
            words = self.ordinal(whole, found["ordinal"] or "")
        elif found.get("decade"):
            words = self.decade(whole)
        elif fraction and unit and unit in _MONEY and len(fraction) == 2 and not scale:
            words = self.joined(
                self.integer(whole, gender, year=False),
                self.symbol(unit, int(whole[-_LONGEST_RUN:])),
                self.integer(fraction.lstrip("0")) if int(fraction) else "",
            )
            unit = None
        elif fraction:
            words = self.decimal(whole, found["mark"] or "", fraction)
        else:
            words = self.integer(whole, gender, year=not grouped and unit is None, grouped=grouped)
        if words is None:
            return None
        if found.get("minus"):
            words = self.joined(self.minus(), words)
        if unit is None:
            return self.joined(words, scale)
        count = None if fraction or scale else int(whole[-_LONGEST_RUN:])
        return self.joined(words, scale, self.symbol(unit, count))

    def integer(
        self,
        digits: str,
        gender: Gender | None = None,
        *,
        year: bool = True,
        grouped: bool = False,
    ) -> str | None:
        """Digits as one number, or one by one where they are no number that is said as such."""
        if (len(digits) > 1 and digits[0] == "0") or (len(digits) > _LONGEST_RUN and not grouped):
            return self.one_by_one(digits)
        value = int(digits)
        as_year = year and len(digits) == 4 and value in _YEARS
        if as_year:  # what follows a year is not counted by it
            kind = "year" if self.code in ("en", "de") else "cardinal"
        else:
            kind = gender or "cardinal"
        return named(self.code, value, kind) or self.one_by_one(digits)

    def one_by_one(self, digits: str) -> str | None:
        names = {digit: named(self.code, int(digit), "cardinal") for digit in set(digits)}
        return self.joined(*(names[digit] for digit in digits))

    def decimal(self, whole: str, mark: str, fraction: str) -> str | None:
        name = self.format.marks[mark]
        if not name and len(whole) <= _LONGEST_RUN and len(fraction) <= 3:
            phrase = named(self.code, f"{int(whole)}.{fraction}", "cardinal")
            if phrase:
                return phrase
        decimals = (
            self.integer(fraction)
            if self.format.whole_fraction and len(fraction) <= 2
            else self.one_by_one(fraction)
        )
        return self.joined(
            self.integer(whole, year=False, grouped=len(whole) <= 15), name, decimals
        )

    def ordinal(self, digits: str, ending: str) -> str | None:
        if len(digits) > _LONGEST_RUN:
            return self.one_by_one(digits)
        words = named(self.code, int(digits), "ordinal")
        if words and "ª" in ending:
            words = re.sub(r"o\b", "a", words)
        return words or self.integer(digits)

    def decade(self, digits: str) -> str | None:
        words = self.integer(digits)
        if words and words.endswith("y"):
            return words[:-1] + "ies"
        return words and words + "s"

    def time(self, written: str) -> str | None:
        hours, *rest = (int(part) for part in written.split(":"))
        words = self.joined(named(self.code, hours, "cardinal"), self.format.hour)
        for place, value in enumerate(rest):
            if value == 0 and place == len(rest) - 1:
                break
            oh = "oh" if self.code == "en" and value < 10 else ""
            words = self.joined(words, oh, named(self.code, value, "cardinal"))
        return words

    def phone(self, written: str) -> str | None:
        """A telephone number digit by digit, or else a range or a score, part by part."""
        parts = written.split("-")
        total = sum(map(len, parts))
        said_apart = len(parts) > 2 or written[0] == "0" or [len(p) for p in parts] == [3, 4]
        if total >= 7 and said_apart:
            return self.one_by_one("".join(parts))
        return self.joined(*(self.integer(part) for part in parts))

    def symbol(self, symbol: str, count: int | None = None) -> str | None:
        forms = self.format.symbols[symbol].split("/")
        if count is None:
            return forms[1] if len(forms) == 3 else forms[-1]
        if len(forms) == 3:
            return str(_converter(self.code).pluralize(count, forms))
        return forms[0] if count == 1 else forms[-1]

    def minus(self) -> str:
        return str(getattr(_converter(self.code), "negword", "")).strip(" ()-")

    @staticmethod
    def joined(*words: str | None) -> str | None:
        """One phrase; None where a part of it has no words."""
        if any(word is None for word in words):
            return None
        return " ".join(word.strip() for word in words if word)


def _roman(numeral: str) -> int:
    """The value of a Roman numeral below 40."""
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in numeral]
    following = [*values[1:], 0]
    return sum(-v if v < after else v for v, after in zip(values, following, strict=True))


def _converter(code: str) -> Any:
    # Here, because a report is read where this library is not installed.
    from num2words import CONVERTER_CLASSES

    return CONVERTER_CLASSES[code]


@lru_cache(maxsize=4096)
def named(code: str, value: int | str, kind: str) -> str | None:
    """num2words' name of a number below 10^15; None where it has none.

    Args:
        code: num2words' code of the language.
        value: an integer, or a decimal number as text.
        kind: `cardinal`, `ordinal`, `year`, or `masculine` or `feminine` (Hebrew, before a noun).
    """
    converter = _converter(code)
    with _one_at_a_time:
        try:
            if isinstance(value, str):
                words = converter.to_cardinal(Decimal(value))
            elif kind in ("masculine", "feminine"):
                words = converter.to_cardinal(value, gender=kind[0], construct=value == 2)
            else:
                words = getattr(converter, f"to_{kind}")(value)
        # Its 50 languages fail beyond their limits in as many ways; there is then no name.
        except Exception:  # noqa: BLE001
            return None
    return str(words).replace(",", "").strip() or None
