"""Markup and broken characters: found where they stand, and nothing in plain text."""

from __future__ import annotations

import json
import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asr_gate.corpus.text.markup import broken_characters, markup
from tests.speech import EXAMPLE, PROCEED, STOP


@pytest.mark.parametrize(
    ("text", "kind", "piece"),
    [
        ("<|startoftranscript|> hello", "token", "<|startoftranscript|>"),
        ("hello [UNK] there", "token", "[UNK]"),
        ("language Hebrew<asr_text>שלום", "tag", "<asr_text>"),
        ("hello <unk>", "tag", "<unk>"),
        ("<s>hello</s>", "tag", "<s>"),
        ('wait <break time="1s"/> here', "tag", '<break time="1s"/>'),
        ("<!-- note --> hi", "tag", "<!--"),
        ("tom &amp; jerry", "entity", "&amp;"),
        ("it&#39;s", "entity", "&#39;"),
        ("it&#x27;s", "entity", "&#x27;"),
        ("see https://example.org/a?b=c now", "url", "https://example.org/a?b=c"),
        ("see www.example.org", "url", "www.example.org"),
        ("00:01:02,500 --> 00:01:04,000", "timestamp", "00:01:02,500"),
        ("[00:12] hello", "timestamp", "[00:12]"),
        ("(1:02:33) hello", "timestamp", "(1:02:33)"),
        ("00:12:34 hello", "timestamp", "00:12:34"),
        ("SPK1: hello", "label", "SPK1:"),
        ("Speaker 2: hello", "label", "Speaker 2:"),
        ("speaker_a: hello", "label", "speaker_a:"),
        ("A: yes", "label", "A:"),
        ("דובר 1: שלום", "label", "דובר 1:"),
        ("hello [noise] there", "event", "[noise]"),
        ("(laughs) no", "event", "(laughs)"),
        ("(Laughter) no", "event", "(Laughter)"),
        ("*coughs* sorry", "event", "*coughs*"),
        ("((unclear words)) yes", "event", "((unclear words))"),
        ("(צחוק) כן", "event", "(צחוק)"),
        ("♪ la la", "event", "♪"),
    ],
)
def test_markup_is_found_and_named(text: str, kind: str, piece: str) -> None:
    assert markup(text) == (kind, piece)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Plain text, with (a remark) and 12:30 o'clock.",
        "3 < 4 and 5 > 2, a <3 b",
        "Tom & Jerry; R&D",
        "He said: no. Note: this.",
        "it is 10:45:30 now",
        "the laughs (and the coughs) were many",
        "5 * 3 * 2",
        "ש״ח 12.50, בשעה 12:30",
        "NASA: a history",
        "mail me at a@b.example",
    ],
)
def test_plain_text_has_no_markup(text: str) -> None:
    assert markup(text) is None
    assert broken_characters(text) is None


def test_nothing_in_the_bundled_corpus_is_markup() -> None:
    lines = [json.loads(line) for m in (PROCEED, STOP) for line in m.read_text().splitlines()]
    texts = [row["text"] for row in lines]
    texts += (EXAMPLE / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(texts) > 500
    assert [t for t in texts if markup(t) or broken_characters(t)] == []


@pytest.mark.parametrize(
    ("text", "character", "what"),
    [
        ("caf\ufffd", "U+FFFD", "a character that was lost"),
        ("\ue012 hi", "U+E012", "a character that was lost"),
        ("dÃ©jÃ\xa0 vu", "Ã©", "text in a wrong encoding"),
        ("itâ€™s", "â€™", "text in a wrong encoding"),
        ("×©×œ×•×\x9d", "×©", "text in a wrong encoding"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "Ð¿", "text in a wrong encoding"),
        ("hi\u200b there", "U+200B", "an invisible character"),
        ("\ufeffhi", "U+FEFF", "an invisible character"),
        ("שלום\u200f", "U+200F", "an invisible character"),
        ("a\u202eb", "U+202E", "an invisible character"),
        ("soft\xadhyphen", "U+00AD", "an invisible character"),
        ("bell\x07", "U+0007", "an invisible character"),
        ("a\u200db", "U+200D", "an invisible character"),
        ("\u200chi", "U+200C", "an invisible character"),
    ],
)
def test_broken_characters_are_found_and_named(text: str, character: str, what: str) -> None:
    assert broken_characters(text) == (character, what)


@pytest.mark.parametrize(
    "text",
    [
        "naïve Übermut, “Ärger” – «là»",
        "“…déjà vu, café…”",
        "«CAFÉ» ET «FORÊT»",
        "NÃO, IRMÃ”, não",
        "नमस्ते क्‍ष",
        "ទំព័រ\u200bដែល\u200bលោក",
        "نمی‌خواهم",
        "👩‍👩‍👧 hello",
        "two\tlines\r\nof text",
        "ﬁrst ½ № ™ €5 £3 ±1 §4",
        "VÝŠKA, PŘÍŠTÍ ŽÍŽALA, PÍŠTALA",
        "ÄÖÜ äöü ß Åse Ærø Œuvre Ñandú ¿qué?",
    ],
)
def test_rare_characters_are_not_broken(text: str) -> None:
    assert broken_characters(text) is None


LETTERS = st.characters(min_codepoint=0xC0, max_codepoint=0x5FF, categories=["Ll", "Lu", "Lo"])


@given(st.text(alphabet=LETTERS, min_size=2, max_size=20))
def test_any_text_read_in_the_wrong_encoding_is_found(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    # Of these letters the second byte is a letter as well.
    assume(any(letter.encode()[1] not in b"\x83\x8a\x8c\x8e\x9a\x9c\x9e\x9f" for letter in text))
    misread = "".join(
        chr(byte) if byte in b"\x81\x8d\x8f\x90\x9d" else bytes([byte]).decode("cp1252")
        for byte in text.encode()
    )
    assert broken_characters(f"a {misread}m b") is not None


@given(st.text(alphabet=LETTERS, min_size=1, max_size=20))
def test_letters_in_their_own_encoding_are_not(text: str) -> None:
    assert broken_characters(text) is None


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "[", "((", "&", "&#", "A", "00:", "Ã", "(laugh", "<|"]
)
def test_time_grows_with_the_length_alone(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    start = time.perf_counter()
    markup(text)
    broken_characters(text)
    assert time.perf_counter() - start < 5
