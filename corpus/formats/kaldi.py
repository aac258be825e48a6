"""Kaldi data folders: `wav.scp` and `text`, and what else there is about the utterances.

`utt2domain`, which Kaldi has not, gives each utterance a domain as `utt2lang` does a language.

Lhotse's loader of them (`lhotse.kaldi.load_kaldi_data_dir`) is not used: it opens every recording
for its length, runs the commands of `wav.scp` to do so, and fails as a whole where one row is off.
Format: https://kaldi-asr.org/doc/data_prep.html
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats.format import (
    ALL,
    SPLIT_NAME,
    Change,
    Format,
    Row,
    Source,
    TextChange,
    Trim,
    folder_or_here,
    is_folder,
)
from asr_gate.corpus.formats.lines import NOT_UTF8, every_line, lines, text_of

_OPTIONAL = ("utt2dur", "utt2spk", "utt2lang", "utt2domain")

_ARCHIVE = re.compile(r"\.ark:\d+$")

_BY_UTTERANCE = re.compile(r"text|segments|feats\.scp|vad\.scp|utt2\w+")
_BY_RECORDING = re.compile(r"wav\.scp|reco2\w+")
_BY_SPEAKER = re.compile(r"cmvn\.scp|spk2\w+")
"""Files of a data folder by what the first field of their lines is."""
_OF_WHOLE_AUDIO = re.compile(r"(feats|vad|cmvn)\.scp|utt2num_frames")
"""Files that were computed from the audio before it was trimmed."""


@dataclass
class _Table:
    """One file of a data folder: what follows the first field of each line, and its line."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    faults: list[Row] = field(default_factory=list)

    def origin(self, key: str) -> str:
        return f"{self.path}:{self.numbers[key]}"


class Kaldi(Format):
    """A data folder."""

    manifests = "a Kaldi folder (wav.scp, text)"
    every_id = True

    def find(self, manifest: Path) -> dict[str, Source]:
        """A folder with `wav.scp`."""
        if not is_folder(manifest) or not (manifest / "wav.scp").is_file():
            return {}
        first = next(iter(_table(manifest / "wav.scp").values.values()), None)
        named = SPLIT_NAME.match(manifest.absolute().name)
        split = named[1] if named else None
        return {ALL: Source(self, manifest, folder_or_here(manifest, first), split, folder=True)}

    def holds(self, source: Source, origin: str) -> bool:
        """Whether an origin is a line of one of the folder's files."""
        return origin.startswith(f"{source.path}/")

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row for each line of `text`, and one for each utterance that has no such line.

        Raises:
            UserError: a file cannot be read, or there is no `text`.
        """
        folder = source.path
        texts = _table(folder / "text", empty=True)
        recordings = _table(folder / "wav.scp")
        # Without segments an utterance is a recording.
        segments = _table(folder / "segments") if (folder / "segments").is_file() else None
        optional = [_table(folder / name) for name in _OPTIONAL]
        for table in (texts, recordings, *filter(None, [segments]), *optional):
            yield from table.faults
        durations, speakers, languages, domains = (table.values for table in optional)
        for utterance, text in texts.values.items():
            fields = {
                "id": utterance,
                "text": text,
                "speaker": speakers.get(utterance),
                "lang": languages.get(utterance),
                "domain": domains.get(utterance),
            }
            if segments is None:
                fields |= {"recording": utterance, "duration": durations.get(utterance)}
            elif utterance in segments.values:
                parts = _fields(segments.values[utterance])
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
                yield Row(
                    listed.origin(utterance), {"id": utterance}, skip="text has no line for it"
                )

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """The files whose lines are about utterances, recordings or speakers, less what goes.

        Relative paths in `wav.scp` become absolute if they start from the folder itself. Where a
        row is trimmed, `segments` says so, and is made if there is none; features are left out,
        since they are of all the audio.

        Raises:
            UserError: an utterance would need another id, or a file cannot be read.
        """
        folder = source.path
        target.mkdir(exist_ok=True)
        utterances: list[str] = []
        corrections = {}
        trims = {}
        for number, line in enumerate(_lines(folder / "text"), start=1):
            origin = f"{folder / 'text'}:{number}"
            if origin not in change.ids or change.drops(origin):
                continue
            if change.write_ids & {*change.ids[origin]}:
                raise UserError(
                    f"{origin}: another manifest has the same id; give each its own and audit again"
                )
            name = _fields(line, 1)[0]
            utterances.append(name)
            if correction := change.text_at(origin):
                corrections[name] = correction
            if trim := change.trim_at(origin):
                trims[name] = trim
        said = {*utterances}
        recordings = _second_fields(folder / "segments", said) or said
        speakers = _second_fields(folder / "utt2spk", said)
        if trims and not (folder / "segments").is_file():
            (target / "segments").write_text(_segments(folder, utterances, trims), encoding="utf-8")
        for file in sorted(folder.iterdir()):
            if trims and _OF_WHOLE_AUDIO.fullmatch(file.name):
                continue
            if _BY_UTTERANCE.fullmatch(file.name):
                kept = said
            elif _BY_RECORDING.fullmatch(file.name):
                kept = recordings
            elif _BY_SPEAKER.fullmatch(file.name):
                kept = speakers
            else:
                continue
            staying = [line for line in _lines(file) if _fields(line, 1)[0] in kept]
            if file.name == "text":
                staying = [_with_text(line, corrections) for line in staying]
            elif file.name == "spk2utt":
                staying = [_only(line, said) for line in staying]
            elif file.name in ("segments", "utt2dur"):
                staying = [_with_trim(line, trims, file.name) for line in staying]
            elif file.name == "wav.scp" and source.base == folder:
                staying = [_absolute(line, folder) for line in staying]
            (target / file.name).write_bytes("".join(staying).encode("utf-8", "surrogateescape"))


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


def _table(path: Path, *, empty: bool = False) -> _Table:
    """A file of the folder; nothing where it is not there, unless it is one that has to be."""
    table = _Table(path)
    if not path.is_file():
        if path.name in ("text", "wav.scp"):
            raise UserError(f"{path}: missing; a Kaldi data folder has wav.scp and text")
        return table
    for number, line in lines(path):
        text = text_of(line)
        key, *rest = _fields(text or "", 1)
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


def _fields(line: str, splits: int = 0) -> list[str]:
    """Fields of a line. Kaldi divides at ASCII blanks only, transcripts may hold others."""
    return re.split(r"[ \t\r\n]+", line.strip(" \t\r\n"), maxsplit=splits)


def _lines(file: Path) -> Iterator[str]:
    """All lines with their ends; bytes that are not UTF-8 as half surrogates."""
    return (line.decode("utf-8", "surrogateescape") for line in every_line(file))


def _second_fields(file: Path, utterances: set[str]) -> set[str]:
    """The second fields of the lines about some utterances; empty if the file is not there."""
    if not file.is_file():
        return set()
    found = [_fields(line) for line in _lines(file)]
    return {line[1] for line in found if line[0] in utterances}


def _only(line: str, utterances: set[str]) -> str:
    """A line of `spk2utt` with the utterances that stay."""
    speaker, *spoken = _fields(line)
    return " ".join([speaker, *(one for one in spoken if one in utterances)]) + "\n"


def _with_text(line: str, corrections: Mapping[str, TextChange]) -> str:
    """A line of `text` with its transcript corrected."""
    correction = corrections.get(_fields(line, 1)[0])
    if correction is None:
        return line
    content = line.rstrip(" \t\r\n")
    if not correction.before:
        return f"{content} {correction.after}" + line[len(content) :]
    return correction.applied(content) + line[len(content) :]


def _with_trim(line: str, trims: Mapping[str, Trim], file: str) -> str:
    """A line of `segments` or `utt2dur` with less of the recording."""
    utterance, *rest = _fields(line)
    trim = trims.get(utterance)
    if trim is None:
        return line
    if file == "utt2dur":
        return f"{utterance} {trim.duration!r}\n"
    return _segment(utterance, rest[0], trim)


def _segment(utterance: str, recording: str, trim: Trim) -> str:
    return f"{utterance} {recording} {trim.offset!r} {round(trim.offset + trim.duration, 8)!r}\n"


def _segments(folder: Path, utterances: Sequence[str], trims: Mapping[str, Trim]) -> str:
    """The `segments` of a folder without, whose utterances are its recordings; -1 is their end."""
    durations = _table(folder / "utt2dur").values
    return "".join(
        _segment(one, one, trims[one])
        if one in trims
        else f"{one} {one} 0 {durations.get(one, '-1')}\n"
        for one in utterances
    )


def _absolute(line: str, folder: Path) -> str:
    """A line of `wav.scp` with an absolute path."""
    recording, name = _fields(line, 1)
    return f"{recording} {os.path.abspath(folder / name)}\n"  # noqa: PTH100
