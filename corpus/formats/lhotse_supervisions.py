"""Lhotse supervisions with their recordings: `supervisions.jsonl(.gz)` beside `recordings.…`.

`lhotse prepare` writes these. Splits are named in the file names
(`he_supervisions_train.jsonl.gz`).
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats.format import (
    ALL,
    CLEAN,
    Change,
    Format,
    Row,
    Source,
    beside,
    is_file,
)
from asr_gate.corpus.formats.lhotse_cuts import Recording, audio_base, fault, segment, unfit
from asr_gate.corpus.formats.lines import (
    every_line,
    first_object,
    json_bytes,
    json_lines_without,
    json_object,
    lines,
    store,
)
from asr_gate.corpus.formats.nemo import ENDINGS

_NAME = re.compile(r"(?:.+_)?supervisions(?:_(?P<split>.+))?\.jsonl(?:\.gz)?")


class LhotseSupervisions(Format):
    """A folder with files of supervisions and of recordings, a pair for each split."""

    manifests = "a folder of Lhotse recordings and supervisions"

    def find(self, manifest: Path) -> dict[str, Source]:
        """The files of supervisions in a folder, by the split in their names.

        Raises:
            UserError: the path is a file of supervisions alone.
        """
        if is_file(manifest, *ENDINGS) and "recording_id" in first_object(manifest):
            raise UserError(
                f"{manifest}: Lhotse supervisions without their recordings; name the folder of both"
            )
        found = {}
        for file in sorted(manifest.glob("*supervisions*")):
            if name := _NAME.fullmatch(file.name):
                recordings = _recordings_of(file)
                base = manifest
                if recordings.is_file():
                    base = audio_base(manifest, first_object(recordings))
                found[name["split"] or ALL] = Source(self, file, base, name["split"], folder=True)
        return found

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row for each supervision.

        Raises:
            UserError: a file cannot be read, or the recordings are missing.
        """
        supervisions, recordings = source.path, _recordings_of(source.path)
        if not recordings.is_file():
            raise UserError(
                f"{recordings}: missing; {supervisions.name} needs its recordings beside it"
            )
        audio: dict[str, Row] = {}
        for number, line in lines(recordings):
            found = json_object(line)
            recording = _recording(f"{recordings}:{number}", found)
            if recording.fault:
                yield recording
            else:
                audio[recording.fields["id"]] = recording
        for number, line in lines(supervisions):
            yield _row(f"{supervisions}:{number}", json_object(line), audio)

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """Both files under their names: the lines that stay, and the recordings that they name.

        Relative audio paths become absolute if they start from the folder itself.
        """
        target.mkdir(exist_ok=True)
        kept = list(json_lines_without(source.path, change))
        spoken = {
            str(found.get("recording_id"))
            for line in kept
            if isinstance(found := json_object(line), dict)
        }
        recordings = _recordings_of(source.path)
        folder = recordings.parent
        staying = []
        for line in every_line(recordings):
            found = json_object(line)
            if isinstance(found, dict) and str(found.get("id")) in spoken:
                staying.append(_absolute(found, folder) if source.base == folder else line)
        store(target / source.path.name, kept)
        store(target / recordings.name, staying)

    def inputs(self, source: Source) -> list[Path]:
        """The file of supervisions and its folder."""
        return [source.path, source.path.parent]

    def target(self, source: Source, mark: str = CLEAN) -> Path:
        """`FOLDER.clean`, or `FOLDER.SPLIT.clean` of a split."""
        folder = source.path.parent.absolute()
        if source.split:
            folder = folder.with_name(f"{folder.name}.{source.split}")
        return beside(folder, mark)

    def written(self, source: Source, path: Path, target: Path) -> Source:
        """The file of supervisions in the folder that was written."""
        return replace(source, path=path / source.path.name, others=())


def _recordings_of(supervisions: Path) -> Path:
    """The file of the recordings that a file of supervisions names."""
    return supervisions.with_name(supervisions.name.replace("supervisions", "recordings"))


def _recording(origin: str, found: dict[str, Any] | str) -> Row:
    if isinstance(found, str):
        return Row(origin, fault=found)
    fields = {"id": str(found.get("id"))}
    if reason := unfit(found):
        return Row(origin, fields, skip=reason)
    try:
        source = Recording.model_validate(found).sources[0].source
    except ValidationError as error:
        return Row(origin, fault=f"not a recording ({fault(error)})")
    return Row(origin, {**fields, "audio_filepath": source})


def _row(origin: str, found: dict[str, Any] | str, audio: dict[str, Row]) -> Row:
    if isinstance(found, str):
        return Row(origin, fault=found)
    try:
        fields = segment(found)
    except ValidationError as error:
        return Row(origin, fault=f"not a supervision ({fault(error)})")
    recording = audio.get(str(fields["recording_id"]))
    if recording is None:
        return Row(origin, fields, skip=f"there is no recording {fields['recording_id']!r}")
    if recording.skip:
        return Row(origin, fields, skip=recording.skip)
    return Row(origin, {**fields, "audio_filepath": recording.fields["audio_filepath"]})


def _absolute(recording: dict[str, Any], folder: Path) -> bytes:
    for source in recording["sources"]:
        source["source"] = os.path.abspath(folder / source["source"])  # noqa: PTH100
    return json_bytes(recording) + b"\n"
