"""NeMo JSONL: one object a line with `audio_filepath`, `text`, `duration` and more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_gate.corpus.formats.format import ALL, Change, Format, Row, Source, is_file
from asr_gate.corpus.formats.lines import json_lines_without, json_object, lines, store

ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


class Nemo(Format):
    """A file of JSON lines."""

    manifests = ".jsonl, .json, .jsonl.gz"

    def find(self, manifest: Path) -> dict[str, Source]:
        """Any file of JSON lines."""
        if not is_file(manifest, *ENDINGS):
            return {}
        return {ALL: Source(self, manifest, manifest.parent)}

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row a line; blank lines are passed over."""
        for number, line in lines(source.path):
            found = json_object(line)
            origin = f"{source.path}:{number}"
            yield Row(origin, fault=found) if isinstance(found, str) else Row(origin, found)

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """The lines that stay, byte for byte; an id is added where it would be lost."""
        store(target, json_lines_without(source.path, change))
