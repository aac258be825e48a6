"""Read back what an offline run holds, from its `.wandb` file.

The file is a LevelDB log: a header of 7 bytes, then blocks of 32 KiB of chunks, each `<crc32 u32>
<length u16><kind u8><data>`, little-endian; kind 1 is a whole record, and 2, 3, 4 are the first,
middle and last chunk of one. A chunk never crosses a block. A record is a protobuf message.

    run = read_run(tracker.run_path)
    run.config["seed"], run.metrics["phase0/total_samples"], run.artifact("phase0-audit-report")
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HEADER_BYTES = 7
_CHUNK = struct.Struct("<IHB")
_BLOCK = 32 * 1024
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True)
class OfflineArtifact:
    """One logged artifact."""

    name: str
    type: str
    aliases: list[str]
    """In the order of the alphabet: the client keeps none."""
    metadata: dict[str, Any]
    digest: str
    files: dict[str, Path | None]
    """Where each file's staged copy lies, by its path in the artifact."""


@dataclass(frozen=True)
class OfflineAlert:
    """One alert."""

    title: str
    text: str
    level: str


@dataclass
class OfflineRun:
    """All that a run would send."""

    folder: Path
    run_id: str = ""
    project: str = ""
    entity: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    notes: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    """The logged rows in their order, each with its `_step`; a logged dict is a dict again."""
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[OfflineArtifact] = field(default_factory=list)
    alerts: list[OfflineAlert] = field(default_factory=list)
    exit_code: int | None = None
    """None: the run was never finished."""

    @property
    def metrics(self) -> dict[str, Any]:
        """The last value logged under each name."""
        return {name: value for row in self.history for name, value in row.items()}

    def artifact(self, name: str) -> OfflineArtifact:
        """The last version of an artifact."""
        return next(item for item in reversed(self.artifacts) if item.name == name)

    def table(self, name: str) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of a logged table."""
        path = self.folder / "files" / self.metrics[name]["path"]
        content = json.loads(path.read_text(encoding="utf-8"))
        return content["columns"], content["data"]


def read_run(folder: Path, *, wait_seconds: float = 5.0) -> OfflineRun:
    """Read the run in a folder such as `wandb/offline-run-20260102_030405-abcd1234`.

    The client's service may still be writing the last records when `finish` returns, so a run
    that has no end yet is read again for up to `wait_seconds`.
    """
    (path,) = folder.glob("*.wandb")
    deadline = time.monotonic() + wait_seconds
    while True:
        late = time.monotonic() >= deadline
        try:
            run = _parse(folder, path.read_bytes())
            if late or run.exit_code is not None:
                return run
        except ValueError:
            if late:
                raise
        time.sleep(0.05)


def _parse(folder: Path, content: bytes) -> OfflineRun:
    """The run in a log. Raises ValueError on a log that is damaged or cut short."""
    from wandb.proto import wandb_internal_pb2

    messages: Any = wandb_internal_pb2  # its classes are made at run time
    run = OfflineRun(folder)
    for data in _records(content):
        record: Any = messages.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            _read_run_record(run, record.run)
        elif kind == "config":
            _update(run.config, record.config)
        elif kind == "history":
            row: dict[str, Any] = {}
            for item in record.history.item:
                _set(row, item)
            run.history.append(row)
        elif kind == "summary":
            _update(run.summary, record.summary)
        elif kind == "artifact":
            run.artifacts.append(_artifact(record.artifact))
        elif kind == "alert":
            alert = record.alert
            run.alerts.append(OfflineAlert(alert.title, alert.text, alert.level))
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _records(data: bytes) -> Iterator[bytes]:
    """The whole records of a log. Raises ValueError on a damaged one."""
    if data[:4] != b":W&B":
        raise ValueError(f"no W&B log: it begins with {data[:4]!r}")
    position, parts = _HEADER_BYTES, b""
    while position < len(data):
        left_in_block = _BLOCK - position % _BLOCK
        if left_in_block < _CHUNK.size:
            position += left_in_block
            continue
        if position + _CHUNK.size > len(data):
            raise ValueError(f"the log ends within a chunk's head at byte {position}")
        crc, length, kind = _CHUNK.unpack_from(data, position)
        chunk = data[position + _CHUNK.size : position + _CHUNK.size + length]
        if len(chunk) != length or zlib.crc32(chunk, zlib.crc32(bytes([kind]))) != crc:
            raise ValueError(f"the log is damaged at byte {position}")
        position += _CHUNK.size + length
        parts = chunk if kind in (_FULL, _FIRST) else parts + chunk
        if kind in (_FULL, _LAST):
            yield parts


def _read_run_record(run: OfflineRun, record: Any) -> None:
    run.run_id, run.project, run.entity = record.run_id, record.project, record.entity
    run.name, run.group, run.job_type = record.display_name, record.run_group, record.job_type
    run.notes, run.tags = record.notes, list(record.tags)
    _update(run.config, record.config)
    _update(run.summary, record.summary)


def _keys(item: Any) -> list[str]:
    return list(item.nested_key) or [item.key]


def _set(target: dict[str, Any], item: Any) -> None:
    """Put an item's value where its keys point in a nested dict."""
    *parents, last = _keys(item)
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = json.loads(item.value_json)


def _update(target: dict[str, Any], record: Any) -> None:
    """Apply a record's updates and removals to a nested dict."""
    for item in record.update:
        _set(target, item)
    for item in record.remove:
        *parents, last = _keys(item)
        inner = target
        for parent in parents:
            inner = inner.get(parent, {})
        inner.pop(last, None)


def _artifact(record: Any) -> OfflineArtifact:
    return OfflineArtifact(
        name=record.name,
        type=record.type,
        aliases=sorted(record.aliases),
        metadata=json.loads(record.metadata or "{}"),
        digest=record.digest,
        files={
            entry.path: Path(entry.local_path) if entry.local_path else None
            for entry in record.manifest.contents
        },
    )
