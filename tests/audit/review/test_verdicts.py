"""Verdicts of people: what is one, how several people's come together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asr_gate.audit.review.verdicts import Verdict, conflicts, merge, parse_verdict, read_verdicts
from asr_gate.corpus.errors import UserError
from tests.audit.review.verdicts import DIGEST, fields, verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "fine"},
        {"verdict": "correct"},
        {"verdict": "correct", "text": "  "},
        {"verdict": "wrong", "text": "other"},
        {"verdict": "trim"},
        {"verdict": "trim", "start": 2, "end": 1},
        {"verdict": "trim", "start": -1, "end": 1},
        {"start": 0.5, "end": 1.5},
        {"id": ""},
        {"id": 7},
        {"report": "sha256:0"},
        {"at": "yesterday"},
        {"at": "2026-11-29T10:00:00"},
        {"at": "0001-01-01T00:00:00+23:59"},
        {"note": "n" * 30_000},
        {"blind": 1},
        {"colour": "red"},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_what_is_no_verdict_is_refused_with_its_line(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "review.jsonl"
    path.write_text(json.dumps(fields()) + "\n" + json.dumps(fields(**changes)) + "\n")
    with pytest.raises(UserError, match=rf"^{path}:2: ") as error:
        read_verdicts(path)
    assert "\n" not in str(error.value)


def test_what_the_page_sends_is_read() -> None:
    sent = fields(verdict="trim", start=0, end=1.25, at="2026-11-29T10:00:00.123Z")
    assert parse_verdict(json.dumps(sent)).end == 1.25


def test_a_line_is_read_back_as_it_was(tmp_path: Path) -> None:
    hostile = "\u05e9\u05dc\u2028\n\u202e x"
    one = verdict(verdict="correct", text=hostile, note="</script>", who="Dana", blind=True)
    path = tmp_path / "review.jsonl"
    path.write_bytes(one.line())
    assert read_verdicts(path) == [one]


def test_verdicts_about_another_audit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.jsonl"
    path.write_bytes(verdict().line())
    assert read_verdicts(path, DIGEST)
    with pytest.raises(UserError, match="another audit"):
        read_verdicts(path, "sha256:" + "1" * 64)


def test_the_last_word_of_each_person_counts() -> None:
    first = [verdict("a", "wrong", hour=9), verdict("b", "wrong", hour=10)]
    second = [verdict("a", "right", hour=11), verdict("b", "right", hour=8)]
    found = merge([first, second])
    assert {one.id: one.faulty for one in found.values()} == {"a": False, "b": True}
    assert merge([second, first]) == found, "whatever the order of the files"
    assert merge([[*second, verdict("b", "withdrawn", hour=7)]]).keys() == {"a"}, "in one, its own"


@pytest.mark.parametrize(
    ("one", "other", "conflict", "faulty"),
    [
        ({"verdict": "right"}, {"verdict": "right"}, False, False),
        ({"verdict": "right"}, {"verdict": "wrong"}, True, None),
        ({"verdict": "unsure"}, {"verdict": "wrong"}, False, True),
        ({"verdict": "unsure"}, {"verdict": "unsure"}, False, None),
        ({"verdict": "wrong"}, {"verdict": "bad_audio"}, True, True),
        ({"verdict": "correct", "text": "a"}, {"verdict": "correct", "text": "b"}, True, True),
        (
            {"verdict": "trim", "start": 1.0, "end": 2.0},
            {"verdict": "trim", "start": 1.1, "end": 1.9},
            False,
            True,
        ),
        (
            {"verdict": "trim", "start": 1.0, "end": 2.0},
            {"verdict": "trim", "start": 1.5, "end": 2.0},
            True,
            True,
        ),
    ],
    ids=str,
)
def test_two_people(
    one: dict[str, Any], other: dict[str, Any], conflict: bool, faulty: bool | None
) -> None:
    verdicts: list[Verdict] = [verdict(who="Dana", **one), verdict(who="Ali", **other)]
    (found,) = merge([verdicts]).values()
    assert (found.conflict, found.faulty) == (conflict, faulty)
    assert bool(conflicts({"u1": found})) == conflict
    assert (found.agreed is None) == (conflict or faulty is None)
