"""Numbers and symbols are read out as they are said, and any text comes through."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.corpus.text.hebrew import written_out
from asr_gate.corpus.text.number_formats import NUM2WORDS, NUMBER_FORMATS
from asr_gate.corpus.text.numbers import read_out

ENGLISH = {
    "0 7 21 100": "zero seven twenty-one one hundred",
    "1,234 1,234,567": "one thousand two hundred and thirty-four "
    "one million two hundred and thirty-four thousand five hundred and sixty-seven",
    "3.14 0.05": "three point one four zero point zero five",
    "1ST, 22nd 103rd": "first, twenty-second one hundred and third",
    "1984 2005 2024 1900": "nineteen eighty-four two thousand and five twenty twenty-four "
    "nineteen hundred",
    "2100 1099": "two thousand one hundred one thousand and ninety-nine",
    "the 1980s, the 60's": "the nineteen eighties, the sixties",
    "25% of A&B": "twenty-five percent of A and B",
    "joe@home 1+1=2": "joe at home one plus one equals two",
    "$1 $5 $2.50 £3 4€": "one dollar five dollars two dollars fifty three pounds four euros",
    "$1.5 million": "one point five million dollars",
    "20 $5 bills": "twenty five dollars bills",
    "-5° (−3)": "minus five degrees (minus three)",
    "12:30 9:05 8:00pm": "twelve thirty nine oh five eight pm",
    "2024-01-15 1/2/1999": "twenty twenty-four one fifteen one two nineteen ninety-nine",
    "15-01-2024": "fifteen one twenty twenty-four",
    "007 12345678901": "zero zero seven one two three four five six seven eight nine zero one",
    "555-1234": "five five five one two three four",
    "050-123": "zero five zero one hundred and twenty-three",
    "1984-1990 5-7": "nineteen eighty-four nineteen ninety five seven",
    "mp3 B2B": "mp three B two B",
    "1,2,3 10. 1.2.3 1/2": "one, two, three ten. one two three one/ two",
    "٣٤": "thirty-four",
    "C++ ==== ½ x²": "C++ ==== ½ x²",
    "World War II, Part IV.": "World War two, Part four.",
    "II From XIX to (XXXIX)": "two From nineteen to (thirty-nine)",
    "I, Henry VIII": "I, Henry eight",
    "IIII VV IXI XXXX IL vi MIX V.I.P. XI's X-ray IV-b": "IIII VV IXI XXXX IL vi MIX V.I.P. XI's "
    "X-ray IV-b",
    "THE VI EDITOR IN THE 1990s [noise]": "THE VI EDITOR IN THE nineteen nineties [noise]",
    "chapters II-IV, 'Part II' ‘Rocky II’": "chapters two-four, 'Part two' ‘Rocky two’",
    "Mr. XX said XXX, World War II- the": "Mr. XX said XXX, World War two- the",
    "XIV": "fourteen",
}
HEBREW = {
    "0 1 2 3 8 10 12": "אפס אחת שתיים שלוש שמונה עשר שתים עשרה",
    "21 99 101 200 305": "עשרים ואחת תשעים ותשע מאה ואחת מאתיים שלוש מאות וחמש",
    "1,000 2,000 3,000 10,000": "אלף אלפיים שלושת אלפים עשרת אלפים",
    "12,345 999,999": "שנים עשר אלף שלוש מאות ארבעים וחמש "
    "תשע מאות תשעים ותשעה אלף תשע מאות תשעים ותשע",
    "1,000,000 1984": "מיליון אלף תשע מאות שמונים וארבע",
    "ב-5 ה-21 ל3 ב־1,500 שב־2": "בחמש העשרים ואחת לשלוש באלף וחמש מאות שבשתיים",
    "ב-12:30 ל-050-1234567": "בשתים עשרה שלושים לאפס חמש אפס אחת שתיים שלוש ארבע חמש שש שבע",
    "5 ₪ 2$ 15% 3.5 -5": "חמישה שקלים שני דולר חמישה עשר אחוז שלוש נקודה חמש מינוס חמש",
    "30°": "שלושים מעלות",
    "פרק XII": "פרק שתים עשרה",
    "מלחמת העולם II לפי BBC": "מלחמת העולם שתיים לפי BBC",
    "ה-II ה-IVF": "השתיים ה-IVF",
    "5 ילדים ו-3 בנות, 2 שולחנות, 2 מחברות": "חמישה ילדים ושלוש בנות, שני שולחנות, שתי מחברות",
    "3 פעמים ב-4 שנים, 22 ימים": "שלוש פעמים בארבע שנים, עשרים ושניים ימים",
    "ב-12 במאי 1984 רבים": "בשנים עשר במאי אלף תשע מאות שמונים וארבע רבים",
    "15 אלף, 2 מיליון איש": "חמישה עשר אלף, שני מיליון איש",
    "ב-5 ק\"מ, בארה״ב ובת''א, וכו׳.": "בחמישה קילומטר, בארצות הברית ובתל אביב, וכולי.",
    "כיתה ב' ז' י\"א; \"ב\" 'ג'": "כיתה בית זין יוד אלף; \"ב\" 'ג'",
    "ויאמר יהוה ליהוה וַיהֹוָה היוהיה": "ויאמר אדוני לאדוני וַאדוני היוהיה",
    "דו\"ח צה״ל, ג'ירפה של ר' ה'": "דו\"ח צה״ל, ג'ירפה של ר' ה'",
}
OTHERS = {
    ("de", "1.234 1 234 2,5 2.0"): "eintausendzweihundertvierunddreißig "
    "eintausendzweihundertvierunddreißig zwei Komma fünf zwei Punkt null",
    ("de", "am 3. Mai. Platz 3. 1984"): "am dritte Mai. Platz drei. neunzehnhundertvierundachtzig",
    ("de", "12:30 5 % 2,50 €"): "zwölf Uhr dreißig fünf Prozent zwei Euro fünfzig",
    ("fr", "1er 2e 3,14 80%"): "premier deuxième trois virgule quatorze quatre-vingts pour cent",
    ("es", "1º 22ª 3,14"): "primero vigésima segunda tres coma catorce",
    ("es", "$5 millones"): "cinco millones dólares",
    ("pt", "16 1.000"): "dezasseis mil",
    ("pt-BR", "16 1.000"): "dezesseis mil",
    ("ru", "1-й 1% 2% 5% 2,5"): "первый один процент два процента пять процентов "
    "две целых пять десятых",
    ("pl", "-5 22$"): "minus pięć dwadzieścia dwa dolary",
    ("kk", "12 5%"): "он екі бес%",
}


@pytest.mark.parametrize(("written", "said"), ENGLISH.items())
def test_english(written: str, said: str) -> None:
    assert read_out(written, "en").replace("-", " ") == said.replace("-", " ")


@pytest.mark.parametrize(("written", "said"), HEBREW.items())
def test_hebrew(written: str, said: str) -> None:
    assert read_out(written, "he") == said


@pytest.mark.parametrize(("named", "said"), OTHERS.items())
def test_other_languages(named: tuple[str, str], said: str) -> None:
    language, written = named
    assert read_out(written, language) == said


def test_a_language_has_many_names() -> None:
    for name in ("he", "iw", "heb", "HE", "he-IL", "he_IL", "Hebrew"):
        assert read_out("5", name) == "חמש"
    for name in ("en", "eng", "en-US", "English"):
        assert read_out("5", name) == "five"
    for name in ("", "und", "mul", "xx", "-", "zho", "am"):
        assert read_out("5 % 1984", name) == "5 % 1984"


@pytest.mark.parametrize("language", sorted(NUM2WORDS))
def test_every_language_reads_whole_numbers(language: str) -> None:
    for number in (0, 1, 11, 21, 100, 999, 1001, 20304, 123456789):
        said = read_out(str(number), language)
        assert said, number
        assert not any(c.isdigit() for c in said), number


def test_every_symbol_on_record_is_read() -> None:
    for language, habits in NUMBER_FORMATS.items():
        for symbol in habits.symbols:
            for count in ("1", "2", "5"):
                assert symbol not in read_out(f"{count} {symbol}", language)


@given(
    st.text(st.sampled_from("0123456789 0159.,:-/%$€+ª°sterdה־ב׳'\u00a0−٣") | st.characters()),
    st.sampled_from(sorted(NUM2WORDS)) | st.text(max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_any_text_comes_through(text: str, language: str) -> None:
    said = read_out(text, language)
    shortened = written_out(text) != text
    if not shortened and not re.search(r"[\d%&@+=°$€£₪¥₽₴]", text):
        assert said == text
    if language in NUM2WORDS:
        assert not any(c in "0123456789" for c in said)


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1,",
        "1,111",
        "1.111.",
        "1 000 ",
        "1:",
        "12-",
        "12-12",
        "1-1",
        "$",
        "$1",
        "ב-",
        "-1",
        "ב'",
    ],
)
@pytest.mark.parametrize("language", ["en", "he", "de"])
def test_long_text_takes_no_longer_than_its_length(unit: str, language: str) -> None:
    started = time.process_time()
    read_out(unit * 10_000, language)
    assert time.process_time() - started < 5


def test_threads_do_not_disturb_each_other() -> None:
    written = [f"{n},{n % 100:02}" for n in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: read_out(text, "ru"), written))
    assert together == [read_out(text, "ru") for text in written]


def test_importing_loads_no_library() -> None:
    code = "import sys, asr_gate.corpus.text.letters; sys.exit('num2words' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
