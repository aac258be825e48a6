"""Transcripts with what has one answer corrected, and nothing else."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_gate.corpus.text.markup import broken_characters, markup
from asr_gate.corpus.text.mend import mended


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two   words\t", "two words"),
        ("cafe\u0301\u00a0bar", "caf\u00e9 bar"),
        ("<b>three</b> cards.", "three cards."),
        ("one<br/>two", "one two"),
        ("he <i>said</i>, no", "he said, no"),
        ("<p>first</p><p>second</p>", "first second"),
        ("salt &amp; pepper&nbsp;mill", "salt & pepper mill"),
        ("SPK1: good morning", "good morning"),
        ("A: good morning", "good morning"),
        ("good [noise] morning [laughter].", "good morning."),
        ("good (coughs) morning", "good morning"),
        ("<noise> good", "good"),
        ("<|startoftranscript|> good <|endoftext|>", "good"),
        ("[00:01:02] good", "good"),
        ("♪ la la ♪", "la la"),
        ("\u200fשלום\u200e [צחוק]", "שלום"),
        ("a\ufeff word\u200b", "a word"),
    ],
)
def test_what_has_one_answer_is_corrected(text: str, expected: str) -> None:
    assert mended(text) == expected
    assert markup(expected) is None
    assert broken_characters(expected) is None


@pytest.mark.parametrize(
    "text",
    [
        "good morning",
        "he said [inaudible] and left",
        "the <unk> was here",
        "the [UNK] was here",
        "call <name> now",
        "see www.example.com for more",
        "at 00:15:00 it began",
        "ROOM 12: turn left",
        "he (quietly) left",
        "[something he said] and left",
        "[noise]",
        "\u200b",
        "",
        "5 < 6 & 7 > 3",
        "ไทย\u200bไทย",
        "nobody\ufffdknows",
    ],
)
def test_what_may_be_said_stays(text: str) -> None:
    assert mended(text) == text


@given(st.text(alphabet=st.sampled_from("ab &;<>/[]().,\u0301\u200b\ufeff\x00"), max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_corrected_to_plain_blanks_and_never_emptied(text: str) -> None:
    found = mended(text)
    assert found == text or (found == " ".join(found.split()) and found)
    if not markup(text) and not broken_characters(text):
        assert unicodedata.normalize("NFC", " ".join(text.split())) in (found, "")
