"""What the plan says of the rows."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from asr_gate.train.observe.plan_table import show_plan
from asr_gate.train.plan import OwnSet, PlannedHoldOut, PlannedSplits
from tests.train.support import run_record


def shown(**fields: Any) -> dict[str, str]:
    """The lines of the plan of a run of 9,000 rows, by their first word."""
    told = StringIO()
    plan = run_record().plan.model_copy(update={"training": 9000, "corpus": 21400, **fields})
    show_plan(plan, Console(file=told, width=200))
    return {line[:10].strip(): line[11:] for line in told.getvalue().splitlines()}


def test_how_many_rows_of_a_split_evaluate() -> None:
    splits = PlannedSplits(train="train", evaluation="dev", test="test", rows={"train": 9000})
    chosen = [f"u{i}" for i in range(500)]
    lines = shown(splits=splits, evaluation=chosen, evaluation_of=12300, test=["t"])
    assert "train 9,000 of 21,400 rows" in lines["rows"]
    assert "dev 500 of 12,300, test 1;" in lines["rows"]
    assert "held out" not in lines
    assert "dev 500, test 1;" in shown(splits=splits, evaluation=chosen, test=["t"])["rows"]


def test_what_is_held_out_and_why() -> None:
    how = PlannedHoldOut(by="recording", why="1 speaker", groups=800, held=21)
    lines = shown(hold_out=how, evaluation_of=2, set_aside=["a", "b", "c"])
    assert "held out 1 of 2;" in lines["rows"]
    assert lines["held out"].startswith("by recording: 21 of 800")
    assert "1 speaker" in lines["held out"] and "3 more" in lines["held out"]


def test_where_sets_that_were_not_audited_come_from() -> None:
    own = {"validation": OwnSet(manifests=["dev.jsonl"], rows=4, fingerprint="sha256:" + "0" * 64)}
    lines = shown(own=own, evaluation_of=1)
    assert "validation 1;" in lines["rows"]
    assert lines["validation"].startswith("dev.jsonl: 4 rows, not audited, sha256:0")
