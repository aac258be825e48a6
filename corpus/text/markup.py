"""What is written in transcripts but not said: markup, labels, broken characters."""

from __future__ import annotations

import re
import unicodedata

SOUNDS = (
    "applause|background|beep|breath(?:ing|s)?|chuckl(?:es?|ing)|clears throat|cough(?:s|ing)?|"
    "laugh(?:s|ing|ter)?|music|no ?speech|noise|pause|sigh(?:s|ing)?|silence|sneez(?:es?|ing)|"
    "sobs?|צחוק|צוחק(?:ת|ים|ות)?|מוזיקה|מחיאות כפיים|רעש|שתיקה|שקט"
)
"""Sounds as transcribers note them, which stand for no word."""

_EVENTS = (
    f"{SOUNDS}|cross-?talk|foreign|inaudible|indistinct|overlap(?:ping)?|unclear|unintelligible|"
    "לא ברור|לא נשמע"
)
"""What transcribers write in round brackets. Any other text in them may be spoken."""

SPEAKERS = "speaker|spk|spkr|interviewer|interviewee|agent|caller|דובר|דוברת"
"""Words for a speaker, in labels."""

MARKUP = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in {
            "token": r"<\|[^<>|]{0,80}\|>|\[/?(?:INST|PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]",
            "tag": r"</?[^\W\d_][\w:.-]{0,40}(?:\s[^<>]{0,200})?/?>|<!--|<\?xml",
            "entity": r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});",
            "url": r"(?i:\b(?:https?://|www\.)[^\s<>]{1,200})",
            "timestamp": (
                r"-->|[\[(<]\d{1,3}(?::[0-5]\d){1,2}(?:[.,]\d{1,3})?[\])>]"
                r"|\b\d{1,3}(?::[0-5]\d){1,2}[.,]\d{2,3}\b|\b00(?::[0-5]\d){2}\b"
            ),
            "label": (
                rf"\A\s*(?:(?i:{SPEAKERS})"
                r"[ _-]?\w{0,3}|[A-Z]{1,12}[ _-]?\d{1,3}|[A-Z])\s?:"
            ),
            "event": (
                rf"\[[^\[\]]{{1,80}}\]|(?i:[(*]\s?(?:{_EVENTS})\s?[)*])|\(\([^()]{{0,80}}\)\)"
                r"|[♪♫]"
            ),
        }.items()
    )
)

_MAY_BE_MARKUP = re.compile(r"[<>\[(&:*♪♫]|[wW]{3}\.")
"""What every markup has some of; most texts have none, which takes a tenth of the time to tell."""

_INVISIBLE = re.compile(
    # Controls but those that split text; format characters but those that some scripts need.
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200e\u200f\u2028\u2029"
    r"\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_JOINERS = re.compile(r"[\u200c\u200d]")
_UNSPACED = re.compile(
    # Thai, Lao, Tibetan, Burmese, Khmer, Tai Tham, Balinese, Javanese
    r"[\u0e00-\u109f\u1780-\u17ff\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaa7f]"
)
"""Scripts in which a zero-width space separates words."""
_REPLACED = re.compile(r"\ufffd|[\ue000-\uf8ff\U000f0000-\U0010ffff]")

# Bytes of UTF-8 read as Windows-1252: a lead byte and what follows it. The five bytes that this
# encoding does not define are read as the control characters of Latin-1.
_CONTINUED = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
_MISREAD = re.compile(
    f"[\xc2-\xdf]{_CONTINUED}|[\xe0-\xef]{_CONTINUED}{{2}}|[\xf0-\xf4]{_CONTINUED}{{3}}"
)
_CLOSING = " …‘’“”–—‹›«»„‚"
_LETTERS = "ŠšŽžŒœŸƒ"
"""Bytes that follow a lead byte and are letters too: `VÝŠKA` is Czech and no Syriac."""


def markup(text: str) -> tuple[str, str] | None:
    """The kind and the text of the first markup in a transcript; None: there is none.

    Kinds: `token` of a model, `tag` of HTML, XML or SSML, `entity`, `url`, `timestamp`, speaker
    `label`, `event` (`[noise]`, `(laughs)`).
    """
    found = MARKUP.search(text) if _MAY_BE_MARKUP.search(text) else None
    return None if found is None else (str(found.lastgroup), found[0].strip())


def broken_characters(text: str) -> tuple[str, str] | None:
    """The first broken character of a transcript, escaped, and what it is; None: there is none.

    Kinds: `replacement character` or private use (a letter that was lost), `text in a wrong
    encoding` (UTF-8 read as Windows-1252), `invisible character` (zero width, direction, control).
    """
    if text.isascii() and text.isprintable():
        return None
    if lost := _REPLACED.search(text):
        return _escaped(lost[0]), "a character that was lost"
    if misread := _misread(text):
        return misread, "text in a wrong encoding"
    if hidden := _INVISIBLE.search(text):
        return _escaped(hidden[0]), "an invisible character"
    if "\u200b" in text and not _UNSPACED.search(text):
        return _escaped("\u200b"), "an invisible character"
    for joiner in _JOINERS.finditer(text):
        if not _joins(text, joiner.start()):
            return _escaped(joiner[0]), "an invisible character"
    return None


def without_invisible(text: str) -> str:
    """A text without invisible characters; a zero-width space between letters may mean a space."""
    text = _INVISIBLE.sub("", text)
    if not _UNSPACED.search(text):
        text = re.sub(r"(?<!\w)\u200b|\u200b(?!\w)", "", text)
    return "".join(
        character
        for index, character in enumerate(text)
        if not _JOINERS.match(character) or _joins(text, index)
    )


def _misread(text: str) -> str | None:
    """Letters that are bytes of UTF-8 read as Windows-1252.

    Quotation marks and dashes after an accented letter, which end many words, are no evidence; nor
    are letters alone.
    """
    for found in _MISREAD.finditer(text):
        after = text[found.end() : found.end() + 1]
        ends = found[0].rstrip(_CLOSING) != found[0] and not after.isalpha()
        if not ends and found[0][1:].strip(_LETTERS) and _decodes(found[0]):
            return found[0]
    return None


def _decodes(characters: str) -> bool:
    """Whether the bytes are those of a letter or mark in UTF-8."""
    read = b"".join(c.encode("latin-1") if ord(c) < 256 else c.encode("cp1252") for c in characters)
    try:
        return unicodedata.category(read.decode())[0] in "LMPSZ"
    except UnicodeDecodeError:
        return False


def _joins(text: str, index: int) -> bool:
    """Whether the joiner at an index is in a script or an emoji that needs it."""
    before = unicodedata.name(text[index - 1], "") if index else ""
    simple = ("LATIN", "CYRILLIC", "GREEK", "HEBREW", "DIGIT", "SPACE", "")
    return before.split(" ")[0] not in simple


def _escaped(character: str) -> str:
    return f"U+{ord(character):04X}"
