"""Corrections: what is to be changed in a row, who says so, and why; one JSON object a line.

{"id": "calls/12", "action": "text", "old_text": "good mornin", "new_text": "good morning",
 "who": "Dana", "at": "2026-03-01T10:00:00Z", "why": "", "source": "review"}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, read_regular
from asr_gate.corpus.strict import parse_json
from asr_gate.corpus.utterance import Span

LARGEST_FILE = 200 * MEGABYTE
LONGEST_LINE = 1_000_000
"""Bytes of one correction."""
MOST_CORRECTIONS = 1_000_000
"""Lines of one file."""

Action = Literal["text", "trim", "drop", "keep"]
Outcome = Literal["applied", "nothing to do", "conflict", "unknown", "refused"]

Second = Annotated[float, Field(ge=0, le=1e6)]
Text = Annotated[str, Field(max_length=100_000)]


class Correction(BaseModel):
    """What is to be done to one row."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    id: Annotated[str, Field(min_length=1, max_length=10_000)]
    origin: Annotated[str, Field(max_length=10_000)] = ""
    """Manifest and line that were reviewed, for people; rows are found by their ids."""
    action: Action
    """`text` writes `new_text`, `trim` leaves `start` to `end` of the audio, `drop` takes the row
    out, and `keep` says that it is right as it is."""
    old_text: Text | None = None
    """The text that was reviewed: if it is not the row's any more, nothing is done. None: any."""
    new_text: Text | None = None
    start: Second | None = None
    end: Second | None = None
    """Seconds from the utterance's start."""
    who: Annotated[str, Field(max_length=200)] = ""
    at: Annotated[str, Field(max_length=40)] = ""
    """When, in ISO 8601; empty: not known."""
    why: Annotated[str, Field(max_length=20_000)] = ""
    source: Literal["review", "evaluation", "import", "proposal"] = "import"

    @model_validator(mode="after")
    def _makes_sense(self) -> Correction:
        if (self.new_text is not None) != (self.action == "text"):
            raise ValueError("new_text belongs to the action text, and that needs it")
        if self.new_text is not None and not self.new_text.strip():
            raise ValueError("new_text is empty; the action drop takes a row out")
        trims = self.action == "trim"
        if (self.start is not None, self.end is not None) != (trims, trims):
            raise ValueError("start and end belong to the action trim, and that needs both")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("the span ends before it begins")
        if self.at:
            datetime.fromisoformat(self.at)
        return self

    @property
    def text(self) -> str | None:
        """The new text on one line, as every format can hold it."""
        return None if self.new_text is None else " ".join(self.new_text.split())

    def span(self) -> Span:
        """What a trim leaves."""
        assert self.start is not None and self.end is not None, "only a trim has a span"
        return self.start, self.end


class Entry(Correction):
    """One line of a ledger: a correction, and what came of it."""

    outcome: Outcome
    reason: Annotated[str, Field(max_length=20_000)] = ""
    """Why it was not applied."""


_Model = TypeVar("_Model", bound=BaseModel)


def read_corrections(path: Path) -> list[Correction]:
    """Read a file of corrections, in its order.

    Raises:
        UserError: it cannot be read, or a line is no correction.
    """
    return _read(path, Correction, "a correction")


def read_ledger(path: Path) -> list[Entry]:
    """Read what `asr correct` wrote beside a corpus; empty where there is none.

    Raises:
        UserError: it cannot be read, or a line is none of a ledger.
    """
    return _read(path, Entry, "a line of a ledger") if path.is_file() else []


def _read(path: Path, model: type[_Model], what: str) -> list[_Model]:
    found = []
    for number, line in bounded_lines(path):
        try:
            found.append(parsed(model, parse_json(line)))
        except ValueError as error:
            raise UserError(
                f"{path}:{number}: not {what} ({error}); correct the line or remove it"
            ) from error
    return found


def bounded_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file of records that are not blank, numbered from 1.

    Raises:
        UserError: it cannot be read, or has more or longer lines than such a file has.
    """
    many = 0
    for number, line in enumerate(bounded_content(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        many += 1
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}:{number}: longer than {LONGEST_LINE} bytes; no correction is")
        if many > MOST_CORRECTIONS:
            raise UserError(f"{path}:{number}: over {MOST_CORRECTIONS} lines; split the file")
        yield number, line


def bounded_content(path: Path) -> bytes:
    """The bytes of a file that anybody may have made.

    Raises:
        UserError: it is not there, is no regular file, or is too large.
    """
    try:
        return read_regular(path, LARGEST_FILE).removeprefix(b"\xef\xbb\xbf")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def parsed(model: type[_Model], content: Any) -> _Model:
    """A record from JSON, strictly.

    Raises:
        ValueError: it is none; says in one line what is wrong.
    """
    try:
        return model.model_validate(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        what = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {what}" if where else what) from error
