"""The files that `asr eval` writes: a result, and beside it one line per transcript.

    evals/round2-final/result.json                rates, overall and by domain, and their conditions
    evals/round2-final/result.predictions.jsonl   reference, transcript and errors of each row

Nothing here imports torch, so that two results can be compared without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import RECORD_LIMIT, read_regular
from asr_gate.corpus.utterance import Seconds
from asr_gate.train.evaluation.scoring import Errors
from asr_gate.train.files import write_file
from asr_gate.train.recipes import Numbers
from asr_gate.train.record import Rates

RESULT_FILE = "result.json"


class Section(BaseModel):
    """Base of every section of a result."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FiniteRates(Rates):
    """Error rates over a set of utterances."""

    loss: FiniteFloat
    """In nats per token."""


class NotEvaluated(Section):
    """A row without a transcript, and why."""

    id: str
    rule: str
    """`skipped` by the reader, `no_words`, `too_short`, `unreadable` or `too_many_tokens`."""
    reason: str


class Predictions(Section):
    """The file with the transcripts, beside the result."""

    file: str
    """Name of the file."""
    sha256: str


class Result(Section):
    """The evaluation of one checkpoint on one set of rows."""

    schema_version: Literal[1] = 1
    checkpoint: str
    """Folder or hub id."""
    checkpoint_sha256: str | None = None
    """`sha256:…` over the files of the folder; None: a hub id, or a result from before 0.3."""
    manifests: list[str]
    split: str | None
    fingerprint: str | None = None
    """Of the rows, their texts and audio, as that of an audited corpus; None: from before 0.3."""
    overall: FiniteRates
    domains: dict[str, FiniteRates]
    unfinished: int
    """Transcripts that the model did not end before `max_new_tokens`."""
    not_evaluated: list[NotEvaluated]
    audio: Seconds
    """Audio of the evaluated rows."""
    wall: Seconds
    """Time that it took, without loading the model."""
    device: str
    threads: int | None = None
    """CPU threads of torch; None: a result from before 0.3."""
    arithmetic: str
    """`bfloat16` or `float32`."""
    batch_seconds: Seconds
    max_new_tokens: int
    numbers: Numbers = "as_written"
    """How numbers were compared; results from before 0.3 do not say it."""
    predictions: Predictions
    tool: str
    """Version of asr-gate."""
    created_at: str


class Transcript(BaseModel):
    """One line of the file with the transcripts, as far as a comparison needs it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    domain: str
    language: str
    seconds: FiniteFloat
    reference: str
    hypothesis: str
    errors: Errors | None = None


def predictions_file(path: Path) -> Path:
    """The file with the transcripts of a result."""
    return path.with_name(f"{path.stem}.predictions.jsonl")


def write_predictions(path: Path, lines: Sequence[dict[str, Any]]) -> Predictions:
    """Write the transcripts of the result at `path`, in one step, before the result itself.

    Raises:
        UserError: the disk is full or not writable.
    """
    file = predictions_file(path)
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    write_file(file, content)
    return Predictions(file=file.name, sha256=hashlib.sha256(content).hexdigest())


def write_result(path: Path, result: Result) -> None:
    """Write a result in one step; errors as in `write_predictions`."""
    write_file(path, (result.model_dump_json(indent=2) + "\n").encode())


def read_result(path: Path) -> tuple[Result, list[Transcript]]:
    """Read a result, by its file or folder, and its transcripts.

    Raises:
        UserError: not there, not a result, or the transcripts are not those of this result.
    """
    if path.is_dir():
        path = path / RESULT_FILE
    content = _read(
        path, f"no such result; make one with: asr eval CHECKPOINT MANIFEST --out {path}"
    )
    try:
        result = Result.model_validate_json(content)
    except ValidationError as error:
        raise UserError(f"{path}: not a result of asr eval ({_first(error)})") from error
    file = predictions_file(path)
    content = _read(file, f"missing, although {path.name} needs it; evaluate again")
    if hashlib.sha256(content).hexdigest() != result.predictions.sha256:
        raise UserError(f"{file}: was changed after {path.name} was written; evaluate again")
    transcripts: list[Transcript] = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            transcripts.append(Transcript.model_validate_json(line))
        except ValidationError as error:
            raise UserError(f"{file}:{number}: not a prediction ({_first(error)})") from error
    return result, transcripts


def _read(path: Path, otherwise: str) -> bytes:
    try:
        return read_regular(path, RECORD_LIMIT)
    except FileNotFoundError as error:
        raise UserError(f"{path}: {otherwise}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    return ": ".join(part for part in (".".join(map(str, fault["loc"])), fault["msg"]) if part)
