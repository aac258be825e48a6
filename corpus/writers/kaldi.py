"""Kaldi data folders, line for line as they came."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from pathlib import Path

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers.kaldi import fields_of
from asr_gate.corpus.readers.row import every_line
from asr_gate.corpus.writers.change import Change

_BY_UTTERANCE = re.compile(r"text|segments|feats\.scp|vad\.scp|utt2\w+")
_BY_RECORDING = re.compile(r"wav\.scp|reco2\w+")
_BY_SPEAKER = re.compile(r"cmvn\.scp|spk2\w+")


def write(folder: Path, base: Path, target: Path, change: Change) -> None:
    """Write the files of a data folder whose lines are about utterances, recordings or speakers.

    Args:
        folder: the data folder.
        base: where the relative paths of its `wav.scp` start; they become absolute where that is
            the folder itself.
        target: the folder to write into; it is there.
        change: what is dropped.

    Raises:
        UserError: an utterance would need another id, or a file cannot be read.
    """
    utterances = set()
    for number, line in enumerate(_lines(folder / "text"), start=1):
        origin = f"{folder / 'text'}:{number}"
        if origin not in change.ids or change.drops(origin):
            continue
        if change.touches(origin):
            raise UserError(
                f"{origin}: another manifest has the same id; give each its own and audit again"
            )
        utterances.add(fields_of(line, 1)[0])
    recordings = _second(folder / "segments", utterances) or utterances
    speakers = _second(folder / "utt2spk", utterances)
    for file in sorted(folder.iterdir()):
        if _BY_UTTERANCE.fullmatch(file.name):
            kept = utterances
        elif _BY_RECORDING.fullmatch(file.name):
            kept = recordings
        elif _BY_SPEAKER.fullmatch(file.name):
            kept = speakers
        else:
            continue
        staying = [line for line in _lines(file) if fields_of(line, 1)[0] in kept]
        if file.name == "spk2utt":
            staying = [_spoken(line, utterances) for line in staying]
        elif file.name == "wav.scp" and base == folder:
            staying = [_absolute(line, folder) for line in staying]
        (target / file.name).write_bytes("".join(staying).encode("utf-8", "surrogateescape"))


def _lines(file: Path) -> Iterator[str]:
    """All lines with their ends; bytes that are not UTF-8 as half surrogates."""
    return (line.decode("utf-8", "surrogateescape") for line in every_line(file))


def _second(file: Path, utterances: set[str]) -> set[str]:
    """What a file says of some utterances in its second field; nothing if it is not there."""
    if not file.is_file():
        return set()
    found = [fields_of(line) for line in _lines(file)]
    return {line[1] for line in found if line[0] in utterances}


def _spoken(line: str, utterances: set[str]) -> str:
    """A line of `spk2utt` with the utterances that stay."""
    speaker, *spoken = fields_of(line)
    return " ".join([speaker, *(one for one in spoken if one in utterances)]) + "\n"


def _absolute(line: str, folder: Path) -> str:
    recording, name = fields_of(line, 1)
    return f"{recording} {os.path.abspath(folder / name)}\n"  # noqa: PTH100
