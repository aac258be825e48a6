"""WebDataset: tar files in which members of one name and several endings are a row.

`a.flac` is the audio, `a.txt` the transcript, `a.json` an object with more fields, or with the
transcript too. Format: https://github.com/webdataset/webdataset#the-webdataset-format
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from asr_gate.corpus.formats.format import (
    ALL,
    AUDIO_COLUMNS,
    SPLIT_NAME,
    Row,
    Source,
    is_file,
    is_folder,
)
from asr_gate.corpus.formats.tars import LARGEST, Tar, TarFormat, opened
from asr_gate.corpus.strict import parse_json

AUDIO = ("flac", "m4a", "mp3", "ogg", "opus", "wav")
TEXTS = ("txt", "text", "transcript")
UNREAD = {*AUDIO_COLUMNS, "offset"}
"""Of an object beside audio: they speak of the file that the audio was taken from."""


class WebDataset(TarFormat):
    """A tar file, or a folder of them."""

    manifests = ".tar (WebDataset), a folder of them"

    def find(self, manifest: Path) -> dict[str, Source]:
        """A tar file, or a folder that holds some."""
        if is_file(manifest, ".tar"):
            return {ALL: Source(self, manifest, manifest.parent)}
        if is_folder(manifest) and any(manifest.glob("*.tar")):
            return {ALL: Source(self, manifest, manifest, folder=True)}
        return {}

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row for each name in the tar files, in their order.

        Raises:
            UserError: a tar file cannot be read.
        """
        for path in sorted(source.path.glob("*.tar")) if source.folder else [source.path]:
            said = SPLIT_NAME.match(path.name)
            labels = {"split": said[1]} if said else {}
            with opened(source, path) as tar:
                named = groupby(tar.members(), lambda one: _parted(one.name)[0])
                for number, (key, members) in enumerate(named, start=1):
                    row = _row(f"{path}:{number}", key, list(members), tar, path.name)
                    yield Row(row.origin, {**labels, **row.fields}, row.fault, row.skip)

    def holds(self, source: Source, origin: str) -> bool:
        """Whether an origin is that of a row of any of its files."""
        return origin.startswith((f"{source.path}:", f"{source.path}/"))


def _parted(name: str) -> tuple[str, str]:
    """`a/b.c` and `d.json` of `a/b.c.d.json`: the format parts names at the first dot."""
    folder, base = posixpath.split(name)
    key, _, ending = base.partition(".")
    return posixpath.join(folder, key), ending.lower()


def _row(origin: str, key: str, members: list[tarfile.TarInfo], tar: Tar, tar_name: str) -> Row:
    if not all(one.name.isprintable() for one in members):
        return Row(origin, fault=f"the member {key!r} has a name that is no text")
    by_ending = {_parted(one.name)[1]: one for one in members}
    sounds = [one for ending, one in by_ending.items() if ending.rpartition(".")[2] in AUDIO]
    fields: dict[str, Any] = {}
    try:
        if "json" in by_ending:
            found = parse_json(tar.text(by_ending["json"]))
            if not isinstance(found, dict):
                return Row(origin, fault=f"{by_ending['json'].name} is no JSON object")
            fields = {name: value for name, value in found.items() if name not in UNREAD}
        for ending in TEXTS:
            if ending in by_ending:
                fields["text"] = tar.text(by_ending[ending]).strip()
                break
    except ValueError as error:
        return Row(origin, fault=f"{key}: its text cannot be read ({error})")
    fields.setdefault("id", key)
    if len(sounds) != 1:
        return Row(origin, fields, skip=f"{key} has {len(sounds) or 'no'} audio in the tar file")
    if sounds[0].size > LARGEST:
        return Row(origin, fields, skip=f"{sounds[0].name} is larger than audio of one utterance")
    name = f"{tar_name}/{sounds[0].name}"
    return Row(origin, {**fields, "audio": tar.audio(sounds[0]), "audio_name": name})
