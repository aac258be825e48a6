"""Progress as plain lines, where no terminal is."""

from __future__ import annotations

import time

import pytest

from asr_gate.cli import progress
from asr_gate.cli.progress import AuditProgress


def test_lines_come_whether_anything_is_done_or_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)

    def said(wanted: str) -> None:
        lines = ""
        until = time.monotonic() + 20
        while wanted not in lines and time.monotonic() < until:
            time.sleep(0.01)
            lines += capsys.readouterr().err
        assert wanted in lines

    with AuditProgress() as shown:
        said("preparing")
        shown.start(4, 1)
        said("1 kept from before")
        said("aligned 1/4, 0 s")
        shown.advance(1, 2.0)
        said("s left")
        shown.advance(2, 4.0)
        said("aligned 4/4")
        said("finishing")
    capsys.readouterr()
    time.sleep(0.2)
    assert capsys.readouterr().err == "", "nothing more after the end"
