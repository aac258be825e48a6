"""Verdicts of people about audited rows: the records of `review.jsonl`, read and merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from asr_gate.audit.records.finding import Frozen
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.files import MEGABYTE, read_regular
from asr_gate.corpus.strict import parse_json

REVIEW_FILE = "review.jsonl"
"""Beside a report: the verdicts about its rows, one a line."""

LARGEST_FILE = 200 * MEGABYTE
LONGEST_LINE = 500_000
"""Bytes of one verdict."""
MOST_VERDICTS = 1_000_000
"""Lines of one file."""
SAME_EDGE = 0.25
"""Seconds that two people's spans may differ by and still be the same."""

Word = Literal["right", "wrong", "correct", "trim", "bad_audio", "unsure", "withdrawn"]
FAULTY: frozenset[Word] = frozenset({"wrong", "correct", "trim", "bad_audio"})
"""Verdicts that say: as it is, this row must not be trained on."""
_ENTERED = frozenset({"right"}) | FAULTY
"""Verdicts that decide anything: `unsure` leaves the row to others, `withdrawn` was never given."""

Seconds = Annotated[float, Field(ge=0, le=1e6)]


class Verdict(Frozen):
    """What one person says of one row: one line of `review.jsonl`."""

    report: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    """Digest of the audit that the row was shown from."""
    id: Annotated[str, Field(min_length=1, max_length=10_000)]
    verdict: Word
    text: Annotated[str, Field(max_length=100_000)] | None = None
    """The right text; of `correct` alone."""
    start: Seconds | None = None
    end: Seconds | None = None
    """What is to be left of the audio, from the utterance's start; of `trim` alone."""
    note: Annotated[str, Field(max_length=20_000)] = ""
    who: Annotated[str, Field(max_length=200)] = ""
    at: Annotated[str, Field(max_length=40)]
    """When, in ISO 8601 with its time zone."""
    blind: bool = False
    """Whether it was given without knowing what the audit had found: only these measure it."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Verdict:
        if (self.text is not None) != (self.verdict == "correct"):
            raise ValueError("text belongs to the verdict correct, and that needs it")
        if self.text is not None and not self.text.strip():
            raise ValueError("text is empty; a row without a text is wrong")
        trims = self.verdict == "trim"
        if (self.start is not None, self.end is not None) != (trims, trims):
            raise ValueError("start and end belong to the verdict trim, and that needs both")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("the span ends before it begins")
        self.when()
        return self

    def when(self) -> datetime:
        """The time of `at`.

        Raises:
            ValueError: it is none, or has no time zone.
        """
        found = datetime.fromisoformat(self.at)
        if found.utcoffset() is None:
            raise ValueError("at has no time zone")
        try:
            return found.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("at is no time of this age") from error

    def line(self) -> bytes:
        """The record as a line of `review.jsonl`."""
        return (self.model_dump_json() + "\n").encode()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What people say of one row, the last word of each."""

    id: str
    verdicts: tuple[Verdict, ...]
    """By name of the person; withdrawn ones are left out, and there is at least one."""

    @property
    def conflict(self) -> bool:
        """Whether two people want different things done; until one of them changes their verdict,
        nothing is."""
        entered = [one for one in self.verdicts if one.verdict in _ENTERED]
        return any(not _same(entered[0], one) for one in entered[1:])

    @property
    def agreed(self) -> Verdict | None:
        """The verdict of all who are sure, the latest of several like it; None: there is none."""
        entered = [one for one in self.verdicts if one.verdict in _ENTERED]
        if not entered or self.conflict:
            return None
        return max(entered, key=lambda one: (one.when(), one.who))

    @property
    def faulty(self) -> bool | None:
        """Whether the row is wrong as it is; None: nobody is sure, or people disagree.

        Two who would mend it in different ways agree on that.
        """
        said = {one.verdict in FAULTY for one in self.verdicts if one.verdict in _ENTERED}
        return said.pop() if len(said) == 1 else None


def _same(one: Verdict, other: Verdict) -> bool:
    if (one.verdict, one.text) != (other.verdict, other.text):
        return False
    if one.start is None or one.end is None or other.start is None or other.end is None:
        return True
    return max(abs(one.start - other.start), abs(one.end - other.end)) <= SAME_EDGE


def parse_verdict(line: str | bytes) -> Verdict:
    """Read one record.

    Raises:
        ValueError: not a verdict; says in one line what is wrong.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError(f"longer than {LONGEST_LINE} bytes")
    content = parse_json(line)
    try:
        return Verdict.model_validate(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{where}: {what}" if where else what) from error


def read_verdicts(path: Path, report: str | None = None) -> list[Verdict]:
    """Read a file of verdicts, in its order.

    Args:
        path: `review.jsonl`, or what the page exported.
        report: digest of the audit that they must be about; None: any.

    Raises:
        UserError: it cannot be read, a line is no verdict, or one is about another audit.
    """
    try:
        stored = read_regular(path, LARGEST_FILE)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file of verdicts; check the path") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    found = []
    for number, line in enumerate(stored.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            one = parse_verdict(line)
        except ValueError as error:
            raise UserError(
                f"{path}:{number}: not a verdict ({error}); correct the line or remove it"
            ) from error
        if report is not None and one.report != report:
            raise UserError(
                f"{path}:{number}: a verdict about another audit ({one.report[:19]}…, this is "
                f"{report[:19]}…); name that one's report, or review this one"
            )
        found.append(one)
        if len(found) > MOST_VERDICTS:
            raise UserError(f"{path}:{number}: over {MOST_VERDICTS} verdicts; split the file")
    return found


def merge(files: Iterable[Sequence[Verdict]]) -> dict[str, Judgement]:
    """The verdicts of several files and people, by id.

    In a file the last line of a person about a row counts; of several files, the latest of these.

    Args:
        files: the verdicts of each, in its order.

    Returns:
        By id, in their order; rows of which all verdicts were withdrawn are not there.
    """
    last: dict[tuple[str, str], Verdict] = {}
    for verdicts in files:
        of_file = {(one.id, one.who): one for one in verdicts}
        for key, one in of_file.items():
            before = last.get(key)
            if before is None or before.when() <= one.when():
                last[key] = one
    by_id: dict[str, list[Verdict]] = {}
    for (identity, _), one in sorted(last.items()):
        if one.verdict != "withdrawn":
            by_id.setdefault(identity, []).append(one)
    return {identity: Judgement(identity, tuple(found)) for identity, found in by_id.items()}


def conflicts(judgements: Mapping[str, Judgement]) -> list[Judgement]:
    """The rows about which people want different things, by id."""
    return [one for one in judgements.values() if one.conflict]
