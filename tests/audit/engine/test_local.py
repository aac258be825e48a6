"""An audit that is interrupted keeps what it measured, and ends as one that was not."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest

from asr_gate import api
from asr_gate.audit.engine import ledger
from asr_gate.audit.engine.parts import Parts
from tests.e2e.conftest import write_small


class Watch:
    """Progress that interrupts after so many utterances; 0: never."""

    def __init__(self, after: int = 0) -> None:
        self.after = after
        self.total = self.kept = self.measured = 0

    def say(self, line: str) -> None:
        pass

    def start(self, total: int, done: int) -> None:
        self.total, self.kept = total, done

    def advance(self, utterances: int, seconds: float) -> None:
        self.measured += utterances
        if self.measured == self.after:
            # As Ctrl-C does: while others are under way.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def audit(folder: Path, watch: Watch, *, until_decided: bool = False) -> str:
    """The digest of an audit of a few utterances, in groups of three batches or so."""
    report = api.audit_corpus(
        folder / "small.jsonl",
        out=folder / "reports",
        controls=3,
        batch_seconds=6,
        until_decided=until_decided,
        fraction=1.0,
        resume=True,
        progress=watch,
    )
    return report.content.digest


@pytest.mark.parametrize("until_decided", [False, True])
def test_wherever_it_is_interrupted_it_ends_the_same(
    until_decided: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small(tmp_path / "small.jsonl", shift=0)
    whole = Watch()
    digest = audit(tmp_path, whole, until_decided=until_decided)
    assert whole.measured == whole.total > 0
    parts = Parts(tmp_path / "reports" / "phase0").folder
    kept = 0
    # One after the other, so that the last run stands on parts of several.
    for every in (3600.0, 0.0, 3600.0):
        monkeypatch.setattr(ledger, "KEEP_EVERY", every)
        watch = Watch(after=1)
        with pytest.raises(KeyboardInterrupt, match="measured and kept"):
            audit(tmp_path, watch, until_decided=until_decided)
        assert watch.kept == kept
        before, kept = (
            kept,
            len(
                {
                    row["id"]
                    for part in parts.glob("part-*")
                    for row in json.loads(part.read_text())["rows"]
                }
            ),
        )
        assert kept > before
    last = Watch()
    assert audit(tmp_path, last, until_decided=until_decided) == digest
    assert (last.kept, last.measured) == (kept, last.total - kept)
    assert not parts.exists()
