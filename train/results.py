"""What `asr eval` leaves on disk: a result, and beside it a line for each transcript.

    evals/round2-final/result.json                rates, overall and by domain, and how they came
    evals/round2-final/result.predictions.jsonl   what was said, what was recognised, the errors

Nothing here imports torch, so that results are compared without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import write_atomically
from asr_gate.corpus.utterance import Seconds

FILE = "result.json"


class Section(BaseModel):
    """Base of every part of a result."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(Section):
    """Error rates over a set of utterances."""

    loss: FiniteFloat
    """Nats a token."""
    wer: float = Field(ge=0, allow_inf_nan=False)
    cer: float = Field(ge=0, allow_inf_nan=False)
    utterances: int = Field(ge=1)
    words: int = Field(ge=1)
    """In the references."""


class NotEvaluated(Section):
    """A row that has no transcript, and why."""

    id: str
    rule: str
    """`skipped` by the reader, `no_words`, `too_short`, `unreadable` or `too_many_tokens`."""
    reason: str


class Predictions(Section):
    """The file of transcripts beside the result."""

    file: str
    """Its name."""
    sha256: str


class Result(Section):
    """One checkpoint on one set of rows."""

    schema_version: Literal[1] = 1
    checkpoint: str
    """Folder or hub id."""
    manifests: list[str]
    split: str | None
    overall: Rates
    domains: dict[str, Rates]
    unfinished: int
    """Transcripts that the model did not end before `max_new_tokens`."""
    not_evaluated: list[NotEvaluated]
    audio: Seconds
    """Of the rows that were evaluated."""
    wall: Seconds
    """Loading the model not counted."""
    device: str
    arithmetic: str
    """`bfloat16` or `float32`."""
    batch_seconds: Seconds
    max_new_tokens: int
    predictions: Predictions
    tool: str
    """Version of asr-gate."""
    created_at: str


class Transcript(BaseModel):
    """A line of the predictions, as far as a comparison reads it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    domain: str
    language: str
    seconds: FiniteFloat
    reference: str
    hypothesis: str


def predictions_file(path: Path) -> Path:
    """Where the transcripts of a result lie."""
    return path.with_name(f"{path.stem}.predictions.jsonl")


def write_predictions(path: Path, lines: Sequence[dict[str, Any]]) -> Predictions:
    """Write the transcripts of the result at `path`, in one step, before the result itself.

    Raises:
        UserError: the disk is full or not writable.
    """
    file = predictions_file(path)
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    write(file, content)
    return Predictions(file=file.name, sha256=hashlib.sha256(content).hexdigest())


def write_result(path: Path, result: Result) -> None:
    """Write a result in one step; errors as in `write_predictions`."""
    write(path, (result.model_dump_json(indent=2) + "\n").encode())


def write(path: Path, content: bytes) -> None:
    """Write a file in one step; its folder is made. Errors as in `write_predictions`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def read_result(path: Path) -> tuple[Result, list[Transcript]]:
    """Read a result, by its file or folder, and its transcripts.

    Raises:
        UserError: not there, not a result, or its transcripts are not those that it was made of.
    """
    if path.is_dir():
        path = path / FILE
    content = _read(
        path, f"no such result; make one with: asr eval CHECKPOINT MANIFEST --out {path}"
    )
    try:
        result = Result.model_validate_json(content)
    except ValidationError as error:
        raise UserError(f"{path}: not a result of asr eval ({_first(error)})") from error
    file = predictions_file(path)
    content = _read(file, f"missing: it belongs to {path.name}; evaluate again")
    if hashlib.sha256(content).hexdigest() != result.predictions.sha256:
        raise UserError(f"{file}: is not what {path.name} was made of; evaluate again")
    transcripts: list[Transcript] = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            transcripts.append(Transcript.model_validate_json(line))
        except ValidationError as error:
            raise UserError(f"{file}:{number}: not a prediction ({_first(error)})") from error
    return result, transcripts


def _read(path: Path, otherwise: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: {otherwise}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    return ": ".join(part for part in (".".join(map(str, fault["loc"])), fault["msg"]) if part)
