"""An audit that several processes share has the report of one that was made by a single process."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.asr import asr_here, one_line, report_in
from tests.e2e.conftest import write_small


def test_shards_that_were_measured_apart_are_one_audit(tmp_path: Path) -> None:
    write_small(tmp_path / "small.jsonl", shift=0)
    options = ("--all", "--controls", "3", "--batch-seconds", "4", "--no-wandb", "--no-audio")

    def audit(*more: str, fails: bool = False) -> str:
        """What it says: on standard output, or its one line of error."""
        done = asr_here("audit", "small.jsonl", *options, *more, cwd=tmp_path)
        assert done.returncode == (2 if fails else 0), done.stderr
        return one_line(done) if fails else done.stdout

    audit("--name", "whole")
    assert "--shard 1/4" in audit("--merge", fails=True)
    audit("--shard", "2/3")
    lacking = audit("--merge", fails=True)
    assert "--shard 1/3" in lacking and "2/3" not in lacking
    assert "another shares" in audit("--shard", "1/4", fails=True)
    assert " 0 of them now" in audit("--shard", "2/3"), "it went on where it was"
    # Another machine, whose folder is copied here afterwards.
    for share in ("1/3", "3/3"):
        audit("--shard", share, "--out", "elsewhere")
    theirs = tmp_path / "elsewhere" / "phase0" / "shards"
    shutil.copytree(theirs, tmp_path / "reports/phase0/shards", dirs_exist_ok=True)
    for _ in range(2):
        audit("--merge")
        reports = [report_in(tmp_path / "reports" / name) for name in ("whole", "phase0")]
        assert reports[0]["digest"] == reports[1]["digest"]
    assert "--until-decided" in audit("--merge", "--until-decided", fails=True)
    assert "another seed" in audit("--merge", "--seed", "1", fails=True)
