"""Manifests in: a reader turns one kind of source into rows, `read_corpus` rows into a corpus.

A new format is one file with a `rows` function and one line in `_reader_of`.
"""

from __future__ import annotations

import math
import os.path
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corpus.errors import UserError
from corpus.utterance import (
    DEFAULT_DOMAIN,
    AudioBytes,
    Corpus,
    Seconds,
    SkippedRow,
    Utterance,
)

AUDIO_COLUMNS = ("audio_filepath", "audio", "path", "file_name")
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription")


LONGEST_RECORDING: Seconds = 1e7
"""No recording is longer than months."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a reader found it, before it is checked."""

    origin: str
    """Manifest and line, for messages."""
    fields: Mapping[str, Any]
    fault: str | None = None
    """Why the row could not be read at all."""


def read_corpus(
    manifests: Sequence[str | Path], *, audio_root: Path | None = None, split: str | None = None
) -> Corpus:
    """Read every manifest into one corpus; no audio is opened.

    Relative audio paths are relative to the manifest. Audio must lie in the manifest's own folder
    or, where every row names its audio by an absolute path, in the folder that they share;
    `audio_root` allows one folder more. Rows that leave these are skipped, with the reason.

    Raises:
        UserError: a manifest is missing, of an unknown kind, empty, or has malformed rows.
    """
    utterances: list[Utterance] = []
    skipped: list[SkippedRow] = []
    faults: list[str] = []
    parsed: list[Utterance | SkippedRow] = []
    for manifest in manifests:
        if not _is_unicode(manifest):
            raise UserError(
                f"{str(manifest)!r}: the name is not valid Unicode; rename the manifest"
            )
        found, base = _open(manifest, split)
        rows = list(found)
        roots = [(_shared_folder(rows) or base).resolve()]
        if audio_root is not None:
            roots.append(audio_root.resolve())
        for row in rows:
            found_row = row.fault or _parse(row, base, roots)
            if isinstance(found_row, str):
                faults.append(f"{row.origin}: {found_row}")
            else:
                parsed.append(found_row)
    for one in _with_unique_ids(parsed):
        if isinstance(one, SkippedRow):
            skipped.append(one)
        else:
            utterances.append(one)
    if faults:
        more = f" (and {len(faults) - 1} more such rows)" if len(faults) > 1 else ""
        raise UserError(f"{faults[0]}; mend or remove the row{more}")
    if not utterances and not skipped:
        where = f" of split '{split}'" if split else ""
        raise UserError(
            f"{', '.join(map(str, manifests))}: no rows{where}; name a manifest with rows"
        )
    return Corpus(utterances, [str(m) for m in manifests], skipped)


def _shared_folder(rows: Sequence[Row]) -> Path | None:
    """The folder that all audio lies in where every path is absolute; None where one is not.

    Where they share nothing but the root of the disk they share nothing.
    """
    names = [
        next((row.fields[c] for c in AUDIO_COLUMNS if row.fields.get(c)), None) for row in rows
    ]
    paths = [Path(name) for name in names if isinstance(name, str) and Path(name).is_absolute()]
    if not paths or len(paths) < len(rows):
        return None
    shared = Path(os.path.commonpath([os.path.normpath(path.parent) for path in paths]))
    return shared if len(shared.parts) > 1 else None


def _open(manifest: str | Path, split: str | None) -> tuple[Iterator[Row], Path]:
    """The rows of one manifest and the folder that its relative paths start from."""
    name = str(manifest)
    if name.startswith("hf:"):
        from corpus.readers import huggingface

        return huggingface.rows(name, split), Path.cwd()
    path = Path(manifest)
    if not path.is_dir() and not os.path.isfile(path):  # noqa: PTH113  (never raises)
        raise UserError(f"{path}: no such manifest; check the path")
    if path.is_dir():
        # An audio folder is a manifest beside its audio.
        inner = path / split if split and (path / split).is_dir() else path
        metadata = [m for m in ("metadata.jsonl", "metadata.csv") if (inner / m).is_file()]
        if metadata:
            path, split = inner / metadata[0], None if inner is not path else split
        elif splits := sorted(m.parent.name for m in path.glob("*/metadata.*")):
            raise UserError(f"{path}: has the splits {', '.join(splits)}; choose with --split")
    if path.is_dir() or path.suffix.lower() == ".parquet":
        from corpus.readers import huggingface

        return huggingface.rows(path, split), path if path.is_dir() else path.parent
    reader = _reader_of(path)
    rows = (row for row in reader(path) if split is None or row.fault or _in_split(row, split))
    return rows, path.parent


def _reader_of(path: Path) -> Callable[[Path], Iterator[Row]]:
    from corpus.readers import delimited, nemo

    readers = {
        ".jsonl": nemo.rows,
        ".json": nemo.rows,
        ".csv": delimited.rows,
        ".tsv": delimited.rows,
    }
    if path.suffix.lower() not in readers:
        raise UserError(
            f"{path}: unknown kind of manifest; known: {', '.join(readers)}, .parquet, "
            "a Hugging Face dataset folder, hf:OWNER/NAME"
        )
    return readers[path.suffix.lower()]


def _in_split(row: Row, split: str) -> bool:
    if "split" not in row.fields:
        raise UserError(f"{row.origin}: the manifest has no column 'split'; leave out --split")
    return str(row.fields["split"]) == split


def _parse(row: Row, base: Path, roots: Sequence[Path]) -> Utterance | SkippedRow | str:
    """The utterance of a row, the row as skipped, or what is malformed about it."""
    fields = row.fields
    audio_column = next((c for c in AUDIO_COLUMNS if fields.get(c)), None)
    if audio_column is None:
        return f"no audio_filepath{_columns(fields)}"
    text_column = next((c for c in TEXT_COLUMNS if c in fields), None)
    if text_column is None:
        return f"no text{_columns(fields)}"
    text = fields[text_column]
    if text is not None and not isinstance(text, str):
        return f"text is {type(text).__name__}, not a string"
    for column in (audio_column, text_column, "id", "lang", "domain", "speaker"):
        value = fields.get(column)
        if not _is_unicode(value):
            return f"{column} is not valid Unicode"
        if column not in (audio_column, text_column) and isinstance(value, (list, dict, bool)):
            return f"{column} is {type(value).__name__}, not a string"
    offset, duration = _seconds(fields.get("offset")), _seconds(fields.get("duration"))
    if isinstance(offset, str):
        return f"offset {offset}"
    if isinstance(duration, str) or duration == 0:
        return f"duration {duration or 'is 0'}"
    audio: Path | AudioBytes
    if isinstance(fields[audio_column], str):
        name = fields[audio_column]
        audio = base / name
    elif hasattr(fields[audio_column], "read"):
        audio = fields[audio_column]
        name = str(fields.get("audio_name") or Path(row.origin).name)
    else:
        return f"{audio_column} is {type(fields[audio_column]).__name__}, not a path"
    given = _label(fields.get("id"))
    identity = given or _made_id(name, roots, offset)
    if isinstance(audio, Path):
        try:
            resolved = audio.resolve()
        except (OSError, ValueError, RuntimeError) as error:
            return f"audio path {name[:80]!r} cannot be a path ({error})"
        if not any(resolved.is_relative_to(root) for root in roots):
            reason = f"audio path {name!r} leaves the corpus root; allow it with --audio-root"
            return SkippedRow(identity, row.origin, reason)
    return Utterance(
        id=identity,
        text=text or "",
        audio=audio,
        audio_name=name,
        origin=row.origin,
        offset=offset or 0.0,
        duration=duration,
        lang=_label(fields.get("lang")),
        domain=_label(fields.get("domain")) or DEFAULT_DOMAIN,
        speaker=_label(fields.get("speaker")),
    )


def _columns(fields: Mapping[str, Any]) -> str:
    names = ", ".join(list(map(str, fields))[:8])
    return f"; the row has {names}" if names else ""


def _made_id(name: str, roots: Sequence[Path], offset: Seconds | None) -> str:
    """The id of a row without one: its audio's place in the corpus, and where in it."""
    for root in roots:
        if Path(name).is_relative_to(root):
            name = str(Path(name).relative_to(root))
            break
    return f"{name}@{offset:g}" if offset else name


def _seconds(value: object) -> float | str | None:
    """Seconds of a field, None where it is absent, or what is wrong with it."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return f"{str(value)[:40]!r} is not a number of seconds"
    if not math.isfinite(seconds) or not 0 <= seconds < LONGEST_RECORDING:
        return f"{value!r} is not a length of time"
    return seconds


def _is_unicode(value: object) -> bool:
    """False for strings with half a surrogate pair, which JSON can spell and no file can hold."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _label(value: object) -> str | None:
    return None if value in (None, "") else str(value)


def _with_unique_ids(
    rows: Sequence[Utterance | SkippedRow],
) -> Iterator[Utterance | SkippedRow]:
    """The rows, those whose id was there before with `#2`, `#3`, … behind it."""
    taken = {row.id for row in rows}
    seen: set[str] = set()
    for row in rows:
        if row.id not in seen:
            seen.add(row.id)
            yield row
            continue
        number = 2
        while (name := f"{row.id}#{number}") in taken:
            number += 1
        taken.add(name)
        yield replace(row, id=name)
