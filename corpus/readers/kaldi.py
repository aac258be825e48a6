"""Kaldi data folders: `wav.scp` and `text`; `segments`, `utt2dur`, `utt2spk`, `utt2lang` if there.

Lhotse's loader of them (`lhotse.kaldi.load_kaldi_data_dir`) is not used: it opens every recording
for its length, runs the commands of `wav.scp` to do so, and fails as a whole where one row is off.
Format: https://kaldi-asr.org/doc/data_prep.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers.row import NOT_UTF8, Row, folder_or_here, lines, text_of

_ARCHIVE = re.compile(r"\.ark:\d+$")


@dataclass
class _Table:
    """One file of a data folder: what follows the first field of each line, and its line."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    faults: list[Row] = field(default_factory=list)

    def origin(self, key: str) -> str:
        return f"{self.path}:{self.numbers[key]}"


def rows(folder: Path) -> Iterator[Row]:
    """One row for each line of `text`, and one for each utterance that has no such line.

    Raises:
        UserError: a file cannot be read, or there is no `text`.
    """
    texts = _table(folder / "text", empty=True)
    recordings = _table(folder / "wav.scp")
    # Without segments an utterance is a recording.
    segments = _table(folder / "segments") if (folder / "segments").is_file() else None
    optional = [_table(folder / name) for name in ("utt2dur", "utt2spk", "utt2lang")]
    for table in (texts, recordings, *filter(None, [segments]), *optional):
        yield from table.faults
    durations, speakers, languages = (table.values for table in optional)
    for utterance, text in texts.values.items():
        fields = {
            "id": utterance,
            "text": text,
            "speaker": speakers.get(utterance),
            "lang": languages.get(utterance),
        }
        if segments is None:
            fields |= {"recording": utterance, "duration": durations.get(utterance)}
        elif utterance in segments.values:
            parts = fields_of(segments.values[utterance])
            if len(parts) != 3:
                said = "UTTERANCE RECORDING START END is expected"
                yield Row(segments.origin(utterance), fault=said)
                continue
            end = _seconds_between(parts[1], parts[2])
            fields |= {"recording": parts[0], "offset": parts[1], "duration": end}
        yield _row(texts.origin(utterance), fields, recordings.values)
    listed = segments or recordings
    for utterance in listed.values:
        if utterance not in texts.values:
            yield Row(listed.origin(utterance), {"id": utterance}, skip="text has no line for it")


def _row(origin: str, fields: dict[str, str | None], recordings: dict[str, str]) -> Row:
    recording = fields.pop("recording", None)
    if recording is None:
        return Row(origin, fields, skip="segments has no line for it")
    if recording not in recordings:
        return Row(origin, fields, skip=f"wav.scp has no recording {recording!r}")
    name = recordings[recording]
    if name.startswith("|") or name.endswith("|"):
        return Row(origin, fields, skip="its audio is a command, which is never run")
    if _ARCHIVE.search(name) or name == "-":
        return Row(origin, fields, skip=f"its audio {name!r} is not a file of its own")
    return Row(origin, {**fields, "audio_filepath": name})


def _seconds_between(start: str, end: str) -> str | None:
    """The length of a segment; an end of -1 is the recording's. What is no number is told later."""
    try:
        return None if float(end) == -1 else repr(round(float(end) - float(start), 8))
    except ValueError:
        return end


def base(folder: Path) -> Path:
    """The folder that the relative paths of `wav.scp` start from."""
    return folder_or_here(folder, next(iter(_table(folder / "wav.scp").values.values()), None))


def _table(path: Path, *, empty: bool = False) -> _Table:
    """A file of the folder; nothing where it is not there, unless it is one that has to be."""
    table = _Table(path)
    if not path.is_file():
        if path.name in ("text", "wav.scp"):
            raise UserError(f"{path}: missing; a Kaldi data folder has wav.scp and text")
        return table
    for number, line in lines(path):
        text = text_of(line)
        key, *rest = fields_of(text or "", 1)
        if text is None:
            fault = NOT_UTF8
        elif not rest and not empty:
            fault = "nothing behind the id"
        elif key in table.values:
            fault = f"{key!r} is there twice"
        else:
            table.values[key] = rest[0] if rest else ""
            table.numbers[key] = number
            continue
        table.faults.append(Row(f"{path}:{number}", fault=fault))
    return table


def fields_of(line: str, splits: int = 0) -> list[str]:
    """Fields of a line. Kaldi divides at ASCII blanks only, transcripts may hold others."""
    return re.split(r"[ \t\r\n]+", line.strip(" \t\r\n"), maxsplit=splits)
