"""What is wrong with a transcript and can be corrected in one way only."""

from __future__ import annotations

import html
import re
import unicodedata

from asr_gate.corpus.text.markup import MARKUP, SOUNDS, SPEAKERS, without_invisible

_TAGS = (
    "a|abbr|asr_text|b|big|body|br|break|c|cite|code|div|em|emphasis|font|html|i|li|mark|p|prosody|"
    "q|s|small|span|speak|strong|sub|sup|u|ul|v"
)
"""Of HTML, SSML and subtitles. Any other name in angle brackets may stand for something said."""
_INLINE = frozenset({"a", "abbr", "b", "big", "c", "cite", "code", "em", "emphasis", "font", "i"})
_INLINE |= {"mark", "q", "small", "span", "strong", "sub", "sup", "u"}
"""Tags that may stand within a word or before a full stop."""
_TAG = re.compile(rf"</?({_TAGS})\b[^<>]*>", re.IGNORECASE)
_SOUND = re.compile(rf"\W*(?:{SOUNDS})\W*", re.IGNORECASE)
_LABEL = re.compile(rf"\s*(?:(?i:{SPEAKERS})[ _-]?\w{{0,3}}|[A-Z][ _-]?\d{{0,3}})\s?:")
_UNKNOWN_WORD = re.compile("unk|mask", re.IGNORECASE)

_GONE = "\0"
"""In place of what was taken out, until the blanks around it are set right."""


def mended(text: str) -> str:
    """A transcript with what has one answer corrected.

    Characters are normalised (NFC); blanks become single spaces; invisible characters go. So do
    tags, tokens, speaker labels and notes of sounds, and entities become their characters. What may
    stand for words stays: `[inaudible]`, `<unk>`, `<name>`, web addresses, time stamps without
    brackets. If nothing would be left, the text stays as it was.
    """
    found = MARKUP.sub(_unmarked, text)
    found = re.sub(rf"\s*{_GONE}[\s{_GONE}]*(?=[,.;:!?…]|$)", "", found).replace(_GONE, " ")
    found = without_invisible(_spaced(unicodedata.normalize("NFC", found)))
    return _spaced(found) or text


def _unmarked(found: re.Match[str]) -> str:
    """What stays of one piece of markup."""
    kind, written = found.lastgroup, found[0]
    if kind == "entity":
        return html.unescape(written)
    if kind == "tag" and (tag := _TAG.fullmatch(written)):
        return "" if tag[1].lower() in _INLINE else _GONE
    goes = (
        (kind == "token" and not _UNKNOWN_WORD.search(written))
        or (kind == "timestamp" and written[0] in "[(<")
        or (kind == "label" and _LABEL.fullmatch(written))
        or (kind in ("event", "tag") and _SOUND.fullmatch(written))
        or written in "♪♫"
    )
    return _GONE if goes else written


def _spaced(text: str) -> str:
    return " ".join(text.split())
