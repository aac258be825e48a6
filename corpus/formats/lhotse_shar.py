"""Lhotse Shar: a folder with `cuts.000000.jsonl.gz` and `recording.000000.tar`, a pair a shard.

Format: https://lhotse.readthedocs.io/en/latest/shar.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.formats.format import ALL, Row, Source
from asr_gate.corpus.formats.lhotse_cuts import rows_of_cut
from asr_gate.corpus.formats.lines import json_object, lines
from asr_gate.corpus.formats.tars import LARGEST, TarFormat, opened
from asr_gate.corpus.inside import TarAudio

_NO_AUDIO = (".json", ".nodata", ".nometa")


class LhotseShar(TarFormat):
    """A folder of shards."""

    manifests = "a Lhotse Shar folder"

    def find(self, manifest: Path) -> dict[str, Source]:
        """A folder with shards of cuts and of their recordings."""
        if not any(manifest.glob("cuts.*.jsonl*")) or not any(manifest.glob("recording.*.tar")):
            return {}
        return {ALL: Source(self, manifest, manifest, folder=True)}

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row for each supervision of a cut, shard by shard.

        Raises:
            UserError: a file cannot be read, or the recordings of a shard are missing.
        """
        for cuts in sorted(source.path.glob("cuts.*.jsonl*")):
            path = source.path / f"recording.{cuts.name.split('.')[1]}.tar"
            if not path.is_file():
                raise UserError(f"{path}: missing; {cuts.name} needs its recordings beside it")
            with opened(source, path) as tar:
                sounds = {
                    Path(one.name).stem: tar.audio(one)
                    for one in tar.members()
                    if not one.name.endswith(_NO_AUDIO) and one.size <= LARGEST
                }
            for number, line in lines(cuts):
                origin, found = f"{cuts}:{number}", json_object(line)
                if isinstance(found, str):
                    yield Row(origin, fault=found)
                    continue
                name = str(found.get("id"))
                for row in rows_of_cut(origin, _of_file(found)):
                    yield _with_audio(row, sounds.get(name), f"{path.name}/{name}")

    def holds(self, source: Source, origin: str) -> bool:
        """Whether an origin is a line of any shard."""
        return origin.startswith(f"{source.path}/")


def _of_file(cut: dict[str, Any]) -> dict[str, Any]:
    """A cut whose recording is of one file, in place of Shar's mark that it lies beside it."""
    recording = cut.get("recording")
    sources = recording.get("sources") if isinstance(recording, dict) else None
    if not isinstance(recording, dict) or not isinstance(sources, list):
        return cut
    own = [
        {**one, "type": "file"} if isinstance(one, dict) and one.get("type") == "shar" else one
        for one in sources
    ]
    return {**cut, "recording": {**recording, "sources": own}}


def _with_audio(row: Row, audio: TarAudio | None, name: str) -> Row:
    if row.fault or row.skip:
        return row
    if audio is None or not name.isprintable():
        return replace(row, skip="its audio is not in the tar file of its shard")
    fields = {key: value for key, value in row.fields.items() if key != "audio_filepath"}
    return replace(row, fields={**fields, "audio": audio, "audio_name": name})
