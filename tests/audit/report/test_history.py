"""Earlier reports of one name are kept."""

from __future__ import annotations

import os
from pathlib import Path

from asr_gate.audit.gate import check_tables, find_latest, read_report
from asr_gate.audit.report.history import earlier_reports, keep_earlier
from tests.audit.report.reports import report_of


def write(folder: Path, created: str) -> None:
    folder.mkdir(exist_ok=True)
    report = report_of(created_at=created)
    (folder / "alignment_report.json").write_bytes(report.to_bytes())
    for name in ("alignment_report.intoto.jsonl", "wandb.json", "report.md", "mine.txt"):
        (folder / name).write_text(created)
    (folder / "tensorboard").mkdir()


def test_an_earlier_report_is_kept_with_all_that_is_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "phase0"
    folder.parent.mkdir()
    assert keep_earlier(folder) is None
    write(folder, "2026-01-02T00:00:00+00:00")
    os.utime(folder / "alignment_report.json", (1_767_312_000, 1_767_312_000))
    kept = keep_earlier(folder)
    assert kept == folder / "history" / "20260102T000000Z"
    # The report stays until the new one takes its place; what is beside it is of the old one.
    assert {path.name for path in folder.iterdir()} == {
        "alignment_report.json", "history", "mine.txt"
    }  # fmt: skip
    assert {path.name for path in kept.iterdir()} == {
        "alignment_report.json", "alignment_report.intoto.jsonl", "wandb.json", "report.md",
        "tensorboard",
    }  # fmt: skip
    check_tables(read_report(kept), kept)

    again = keep_earlier(folder)  # of the same second
    assert again == folder / "history" / "20260102T000000Z-2"
    assert [path.parent for path in earlier_reports(folder)] == [kept, again]
    assert find_latest(folder.parent) == folder / "alignment_report.json"


def test_notes_of_a_report_that_is_gone_go_too(tmp_path: Path) -> None:
    (tmp_path / "wandb.json").write_text("{}")
    assert keep_earlier(tmp_path) is None
    assert not (tmp_path / "wandb.json").exists()
