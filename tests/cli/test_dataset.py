"""`asr dataset`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_gate.rounds.cases.store import CaseStore
from tests.rounds.cases.test_store import case
from tests.rounds.models import write_rows
from tests.train.results import lines


def test_versions_count_known_errors(
    asr: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("rows.jsonl"), lines(6))
    assert "asr dataset add" in asr("dataset", "list")[1]
    CaseStore(Path("cases.sqlite3")).add([case("u0001"), case("of another dataset")])
    code, out, _ = asr("dataset", "add", "rows.jsonl", "--name", "calls", "--json")
    (made,) = json.loads(out)
    assert (code, made["rows"], made["errors"]) == (0, 6, {"near_spelling": 1})
    assert "nothing changed" in asr("dataset", "add", "rows.jsonl", "--name", "calls")[1]
    assert "calls v1" in asr("dataset", "list")[1]
    code, _, err = asr("dataset", "add", "none.jsonl", "--name", "calls")
    assert (code, len(err.splitlines())) == (2, 1)
