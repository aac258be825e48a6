"""Rows to review as a table for a spreadsheet, and corrections from one that came back.

A cell that a spreadsheet would take for a formula gets an apostrophe before it, and loses it when
it is read.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asr_gate.corpus.corrections import (
    MOST_CORRECTIONS,
    Action,
    Correction,
    bounded_content,
    parsed,
)
from asr_gate.corpus.errors import UserError

COLUMNS = (
    "id", "origin", "audio", "text", "proposed", "confidence", "codes", "spans", "source",
    "verdict", "new_text", "keep_from", "keep_to", "note", "who", "at",
)  # fmt: skip
"""Those from `verdict` on are for people."""

ACTIONS: Mapping[str, Action | None] = {
    "right": "keep",
    "wrong": "drop",
    "bad_audio": "drop",
    "correct": "text",
    "trim": "trim",
    "unsure": None,
    "withdrawn": None,
}
"""What a verdict of a person comes to."""

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
_LONGEST_CELL = 1_000_000


def table(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Rows with some of `COLUMNS` as CSV, with the mark that spreadsheets know UTF-8 by."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _harmless(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def read_table(path: Path) -> list[Correction]:
    """The corrections of a table that `asr corrections export` wrote and people filled in.

    A row with a new text and no verdict is corrected; one with neither was not reviewed.

    Raises:
        UserError: it cannot be read, or a row cannot be understood.
    """
    found = []
    for number, row in _rows(path):
        try:
            found += _corrections(row)
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}; correct the row or remove it") from error
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = bounded_content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8; save it as CSV UTF-8") from error
    header = text.partition("\n")[0]
    # Spreadsheets of many countries write semicolons.
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = reader.fieldnames or []
        if missing := {"id", "text", "verdict", "new_text"} - set(names):
            raise UserError(
                f"{path}:1: no column {min(missing)}; export the table with asr corrections export"
            )
        for many, row in enumerate(reader, start=1):
            if many > MOST_CORRECTIONS:
                raise UserError(f"{path}: over {MOST_CORRECTIONS} rows; split the file")
            if None in row or None in row.values():
                raise UserError(
                    f"{path}:{reader.line_num}: not as many cells as there are columns; correct it"
                )
            yield reader.line_num, {name: _as_meant(cell) for name, cell in row.items()}
    except csv.Error as error:
        raise UserError(
            f"{path}:{reader.line_num + 1}: not valid CSV ({error}); correct the line"
        ) from error


def _corrections(row: Mapping[str, str]) -> list[Correction]:
    """What one row says.

    Raises:
        ValueError: it contradicts itself.
    """
    new_text = row["new_text"].strip()
    verdict = row["verdict"].strip().lower().replace(" ", "_") or ("correct" if new_text else "")
    if not verdict:
        return []
    if verdict not in ACTIONS:
        raise ValueError(f"verdict {verdict[:40]!r}: there is no such one; there are {_VERDICTS}")
    action = ACTIONS[verdict]
    if action is None:
        return []
    if new_text and action not in ("text", "trim"):
        raise ValueError(f"verdict {verdict} and a new text contradict each other")
    about = {
        "id": row["id"],
        "origin": row.get("origin", ""),
        "old_text": row["text"],
        "who": row.get("who", "").strip(),
        "at": row.get("at", "").strip(),
        "why": ": ".join(filter(None, [verdict, row.get("note", "").strip()])),
        "source": row.get("source", "").strip() or "import",
    }
    given: list[dict[str, object]] = []
    if action == "trim":
        given.append({"start": _seconds(row, "keep_from"), "end": _seconds(row, "keep_to")})
    if new_text or action == "text":
        given.append({"action": "text", "new_text": new_text})
    return [parsed(Correction, {"action": action, **about, **one}) for one in given or [{}]]


_VERDICTS = ", ".join(ACTIONS)


def _seconds(row: Mapping[str, str], column: str) -> float | None:
    cell = row.get(column, "").strip()
    try:
        # Spreadsheets of many countries write a decimal comma.
        return float(cell.replace(",", ".")) if cell else None
    except ValueError as error:
        raise ValueError(f"{column} {cell[:40]!r} is not a number of seconds") from error


def _harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _as_meant(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
