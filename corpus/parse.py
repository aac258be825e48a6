"""From a row as a format found it to an utterance, or to what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_gate.corpus.audio_paths import AllowedFolders
from asr_gate.corpus.formats.format import (
    AUDIO_COLUMNS,
    LANG_COLUMNS,
    SPEAKER_COLUMNS,
    TEXT_COLUMNS,
    Row,
    Source,
)
from asr_gate.corpus.objects import RemoteAudio
from asr_gate.corpus.storage import is_url, shown
from asr_gate.corpus.utterance import (
    DEFAULT_DOMAIN,
    AudioBytes,
    Seconds,
    SkippedRow,
    Utterance,
)

LONGEST_RECORDING: Seconds = 1e7
"""About four months. No recording is longer."""


def parse(row: Row, source: Source, allowed: AllowedFolders) -> Utterance | SkippedRow | str:
    """The utterance of a row, the row as skipped, or what is malformed about it."""
    fields = row.fields
    audio_column = _filled(fields, AUDIO_COLUMNS)
    lang_column = _filled(fields, LANG_COLUMNS)
    speaker_column = _filled(fields, SPEAKER_COLUMNS)
    text_column = next((c for c in TEXT_COLUMNS if c in fields), None)
    labels = ("id", lang_column, "domain", speaker_column, "split")
    written = (*labels, audio_column, text_column or TEXT_COLUMNS[0])
    if not _all_unicode([value for c in written if (value := fields.get(c)) is not None]):
        for column in labels:
            value = fields.get(column)
            if isinstance(value, (list, dict, bool)):
                return f"{column} is {type(value).__name__}, not a string"
        for column in written:
            value = fields.get(column)
            if isinstance(value, str) and not is_unicode(value):
                return f"{column} is not valid Unicode"
    given = _label(fields.get("id"))
    if row.skip:
        return SkippedRow(given or Path(row.origin).name, row.origin, row.skip)
    if not fields.get(audio_column):
        return f"no audio_filepath{_columns(fields)}"
    if text_column is None:
        return f"no text{_columns(fields)}"
    text = fields[text_column]
    if text is not None and not isinstance(text, str):
        return f"text is {type(text).__name__}, not a string"
    offset, duration = _seconds(fields.get("offset")), _seconds(fields.get("duration"))
    if isinstance(offset, str):
        return f"offset {offset}"
    if isinstance(duration, str) or duration == 0:
        return f"duration {duration or 'is 0'}"
    audio: Path | AudioBytes
    inside = True
    if isinstance(fields[audio_column], str):
        name = fields[audio_column]
        try:
            if is_url(name):
                audio = RemoteAudio(name)
            else:
                audio, inside = allowed.placed(source.base, name)
        except (OSError, ValueError, RuntimeError) as error:
            return f"audio path {name[:80]!r} cannot be a path ({error})"
    elif hasattr(fields[audio_column], "read"):
        audio = fields[audio_column]
        name = str(fields.get("audio_name") or Path(row.origin).name)
    else:
        return f"{audio_column} is {type(fields[audio_column]).__name__}, not a path"
    if given is None:  # its audio's path in the corpus, and where in it it starts
        given = f"{allowed.inside(name)}@{offset:g}" if offset else allowed.inside(name)
    if isinstance(audio, RemoteAudio) and not allowed.allows(audio.url):
        place = shown(name)
        reason = (
            f"audio {place!r} lies in a store that is not allowed; allow it with --audio-root "
            f"{place.rpartition('/')[0]}"
        )
        return SkippedRow(given, row.origin, reason)
    if not inside:
        reason = f"audio path {name!r} leaves the corpus root; allow it with --audio-root"
        return SkippedRow(given, row.origin, reason)
    if source.mirror and isinstance(audio, Path):
        audio = source.mirror.audio_at(audio) or audio
    return Utterance(
        id=given,
        text=text or "",
        audio=audio,
        audio_name=name,
        origin=row.origin,
        offset=offset or 0.0,
        duration=duration,
        lang=_label(fields.get(lang_column)),
        domain=_label(fields.get("domain")) or DEFAULT_DOMAIN,
        speaker=_label(fields.get(speaker_column)),
        split=_label(fields.get("split")),
        roots=allowed.roots if isinstance(audio, Path) else (),
    )


def _filled(fields: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The first of some columns that has a value, or else the first."""
    for column in columns:
        if fields.get(column):
            return column
    return columns[0]


def _columns(fields: Mapping[str, Any]) -> str:
    names = ", ".join(list(map(str, fields))[:8])
    return f"; the row has {names}" if names else ""


def _seconds(value: object) -> float | str | None:
    """Seconds of a field, None where it is absent, or what is wrong with it."""
    if value is None or value == "":
        return None
    if isinstance(value, (bool, list, dict)):
        return f"is {type(value).__name__}, not a number of seconds"
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return f"{str(value)[:40]!r} is not a number of seconds"
    if not math.isfinite(seconds) or not 0 <= seconds < LONGEST_RECORDING:
        return f"{value!r} is not a length of time"
    return seconds


def _all_unicode(values: list[Any]) -> bool:
    """Whether all are valid strings: most rows hold nothing else, and there are many."""
    try:
        return is_unicode("".join(values))
    except TypeError:
        return False


def is_unicode(value: str) -> bool:
    """False for strings with half a surrogate pair, which JSON can spell and no file can hold."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _label(value: object) -> str | None:
    return None if value in (None, "") else str(value)
