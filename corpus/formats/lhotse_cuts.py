"""Lhotse cuts: `cuts.jsonl` and `cuts.jsonl.gz`, one cut a line (https://lhotse.readthedocs.io).

The library itself is not used: it needs torch, and a path can be a command to it ("pipe:…"), and
so can the source of a recording. Only files are audio here, and what would be computed (mixtures,
transforms) is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asr_gate.corpus.formats.format import (
    ALL,
    AUDIO_COLUMNS,
    Change,
    Format,
    Row,
    Source,
    folder_or_here,
    is_file,
)
from asr_gate.corpus.formats.lines import (
    first_object,
    json_lines_without,
    json_object,
    lines,
    store,
)
from asr_gate.corpus.formats.nemo import ENDINGS
from asr_gate.corpus.text.language import language_code

CUTS = {"MonoCut", "Cut", "MultiCut", "MixedCut", "PaddingCut"}
UNREAD = {"custom", "alignment"}
"""Of a supervision: they may hold other manifests."""


class _Object(BaseModel):
    """The fields of one of Lhotse's objects. Those of any type are checked where rows are read."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _AudioSource(_Object):
    model_config = ConfigDict(extra="ignore", strict=True)

    source: str


class Recording(_Object):
    """A recording of files; its sources are checked by `unfit`."""

    id: str
    sources: Annotated[list[_AudioSource], Field(min_length=1)]
    sampling_rate: float
    num_samples: float
    duration: float
    channel_ids: Any = None
    transforms: Any = None


class _Supervision(_Object):
    id: str
    recording_id: str
    start: float
    duration: float
    channel: Any = None
    text: Any = None
    language: Any = None
    speaker: Any = None
    gender: Any = None


class _Cut(_Object):
    id: str
    start: float
    duration: float
    channel: Any = None
    recording: Recording


def fault(error: ValidationError) -> str:
    """What is wrong with an object, in a few words."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"


class LhotseCuts(Format):
    """A file of cuts."""

    manifests = "Lhotse cuts (.jsonl, .jsonl.gz)"

    def find(self, manifest: Path) -> dict[str, Source]:
        """A file of JSON lines whose first row is a cut."""
        if not is_file(manifest, *ENDINGS):
            return {}
        first = first_object(manifest)
        if not _is_cut(first):
            return {}
        return {
            ALL: Source(self, manifest, audio_base(manifest.parent, first.get("recording", first)))
        }

    def rows(self, source: Source, split: str | None) -> Iterator[Row]:
        """One row for each supervision of a cut."""
        for number, line in lines(source.path):
            found = json_object(line)
            origin = f"{source.path}:{number}"
            if isinstance(found, str):
                yield Row(origin, fault=found)
            else:
                yield from rows_of_cut(origin, found)

    def write(self, source: Source, target: Path, change: Change, split: str | None) -> None:
        """The cuts that stay, byte for byte, and of other cuts the supervisions that stay."""
        store(target, json_lines_without(source.path, change))


def _is_cut(row: Mapping[str, Any]) -> bool:
    """Whether a row of JSONL is a cut, and not one of NeMo's or Qwen3-ASR's."""
    kind = row.get("type")
    if isinstance(kind, str) and kind in CUTS:
        return True
    return "supervisions" in row and not any(column in row for column in AUDIO_COLUMNS)


def rows_of_cut(origin: str, raw: dict[str, Any]) -> Iterator[Row]:
    """One row for each supervision of a cut, or what is wrong with it."""
    named = {**labels(raw.pop("custom", None)), "id": raw.get("id")}
    kind = raw.pop("type", "MonoCut")
    if not isinstance(kind, str) or kind not in CUTS:
        said = repr(kind) if isinstance(kind, str) else type(kind).__name__
        yield Row(origin, fault=f"type {said} is not a Lhotse cut")
        return
    reason = unfit(raw.get("recording"))
    if kind not in ("MonoCut", "Cut"):
        reason = f"a {kind} is no stretch of one recording"
    supervisions = raw.pop("supervisions", [])
    raw.pop("features", None)  # nobody here reads them
    if not isinstance(supervisions, list):
        yield Row(origin, fault="not a Lhotse cut (supervisions: no list)")
        return
    try:
        segments = [segment(supervision) for supervision in supervisions]
        if reason is None:
            cut = _Cut.model_validate(raw)
            audio = {"audio_filepath": cut.recording.sources[0].source}
            segments = [{**fields, **audio, **_within(cut, fields)} for fields in segments]
    except ValidationError as error:
        yield Row(origin, fault=f"not a Lhotse cut ({fault(error)})")
        return
    if not segments:
        yield Row(origin, named, skip=reason or "no supervision says what is said in it")
    elif len(segments) == 1:
        yield Row(origin, {**named, **segments[0], "id": named["id"]}, skip=reason)
    else:
        yield from (Row(origin, {**named, **fields}, skip=reason) for fields in segments)


def _within(cut: _Cut, fields: Mapping[str, Any]) -> dict[str, float]:
    """Where a supervision lies in the recording, as far as the cut holds it."""
    start, duration = fields["offset"], fields["duration"]
    if start < 0 or start + duration > cut.duration:
        end = min(start + duration, cut.duration)
        start = max(start, 0.0)
        duration = round(end - start, 8)
    # Lhotse rounds so, too: 0.1 + 0.2 is 0.3.
    return {"offset": round(cut.start + start, 8), "duration": duration}


def unfit(recording: object) -> str | None:
    """Why a recording's audio cannot be read from one mono file; None: it can, or is malformed."""
    if recording is None:
        return "it has no recording"
    sources, transforms = _get(recording, "sources"), _get(recording, "transforms")
    if transforms:
        return "its recording is transformed when it is read"
    if not isinstance(sources, list) or not sources:
        return None
    if len(sources) > 1:
        return f"its recording is put together from {len(sources)} sources"
    kind, channels = _get(sources[0], "type"), _get(sources[0], "channels")
    if kind != "file" and isinstance(kind, str):
        return f"its audio is of type {kind!r}; only files are opened"
    if isinstance(channels, list) and len(channels) > 1:
        return f"its recording has {len(channels)} channels; write the one that is meant"
    return None


def segment(raw: object) -> dict[str, Any]:
    """The fields of a row that a supervision holds; `offset` is its start.

    Raises:
        ValidationError: it is no supervision.
    """
    custom = _get(raw, "custom")
    if isinstance(raw, dict):
        raw = {key: value for key, value in raw.items() if key not in UNREAD}
    found = _Supervision.model_validate(raw)
    language = found.language
    return {
        **labels(custom),
        "id": found.id,
        "text": found.text,
        "offset": found.start,
        "duration": found.duration,
        "lang": language_code(language) if isinstance(language, str) else language,
        "speaker": found.speaker,
        "recording_id": found.recording_id,
    }


def labels(custom: object) -> dict[str, Any]:
    """Domain and split, for which Lhotse has no fields of its own."""
    given = {name: _get(custom, name) for name in ("domain", "split")}
    return {name: value for name, value in given.items() if value is not None}


def _get(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def audio_base(folder: Path, recording: object) -> Path:
    """The folder that relative audio paths start from, by the first recording of a manifest."""
    sources = _get(recording, "sources")
    first = sources[0] if isinstance(sources, list) and sources else None
    return folder_or_here(folder, _get(first, "source"))
