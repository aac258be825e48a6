"""Lhotse supervisions with their recordings: `supervisions.jsonl(.gz)` beside `recordings.…`.

That is what `lhotse prepare` writes; parts are named in the files' names
(`he_supervisions_train.jsonl.gz`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.readers.lhotse_cuts import MALFORMED, segment, unfit
from asr_gate.corpus.readers.row import Row, json_object, lines

_NAME = re.compile(r"(?:.+_)?supervisions(?:_(?P<part>.+))?\.jsonl(?:\.gz)?")


WHOLE = "all"
"""What the part is called that is not named."""


def parts(folder: Path) -> dict[str, Path]:
    """The files of supervisions in a folder, by the part that their names say."""
    named = [(path, _NAME.fullmatch(path.name)) for path in sorted(folder.glob("*supervisions*"))]
    return {found["part"] or WHOLE: path for path, found in named if found}


def recordings_beside(supervisions: Path) -> Path:
    """The file of the recordings that a file of supervisions speaks of."""
    return supervisions.with_name(supervisions.name.replace("supervisions", "recordings"))


def rows(supervisions: Path) -> Iterator[Row]:
    """One row for each supervision.

    Raises:
        UserError: a file cannot be read, or the recordings are missing.
    """
    beside = recordings_beside(supervisions)
    if not beside.is_file():
        raise UserError(f"{beside}: missing; {supervisions.name} needs its recordings beside it")
    audio: dict[str, Row] = {}
    for number, line in lines(beside):
        found = json_object(line)
        recording = _recording(f"{beside}:{number}", found)
        if recording.fault:
            yield recording
        else:
            audio[recording.fields["id"]] = recording
    for number, line in lines(supervisions):
        yield _row(f"{supervisions}:{number}", json_object(line), audio)


def _recording(origin: str, found: dict[str, Any] | str) -> Row:
    from lhotse.audio import Recording

    if isinstance(found, str):
        return Row(origin, fault=found)
    fields = {"id": str(found.get("id"))}
    if reason := unfit(found):
        return Row(origin, fields, skip=reason)
    try:
        source = Recording.from_dict(found).sources[0].source
    except MALFORMED as error:
        return Row(origin, fault=f"not a recording ({type(error).__name__}: {error})")
    return Row(origin, {**fields, "audio_filepath": source})


def _row(origin: str, found: dict[str, Any] | str, audio: dict[str, Row]) -> Row:
    if isinstance(found, str):
        return Row(origin, fault=found)
    try:
        fields = segment(found)
    except MALFORMED as error:
        return Row(origin, fault=f"not a supervision ({type(error).__name__}: {error})")
    recording = audio.get(str(fields["recording_id"]))
    if recording is None:
        return Row(origin, fields, skip=f"there is no recording {fields['recording_id']!r}")
    if recording.skip:
        return Row(origin, fields, skip=recording.skip)
    return Row(origin, {**fields, "audio_filepath": recording.fields["audio_filepath"]})
