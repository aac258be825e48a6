"""What rounds came to, for people and for W&B."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.loop import status
from asr_gate.rounds.loop.state import Round, Step
from asr_gate.tracking import Tracker, TrackerSettings
from tests.board import scalars


def _round(number: int, wer: float, *, refused: bool = False, gain: float = 0.1) -> Round:
    def step(status: str = "done", **facts: object) -> Step:
        return Step(inputs="sha256:0", status=status, facts=facts)  # type: ignore[arg-type]

    last = step("refused", gain=gain) if refused else step(gain=gain)
    steps = {
        "audit": step(decision="PROCEED"),
        "evaluate": step(wer=wer, domains={"clean": wer - 0.1, "phone": wer + 0.1}),
        "gate": last,
    }
    more = {} if refused else {"promote": step()}
    return Round(
        number=number, began="2026-01-01T00:00:00+00:00", cases=9, sweep=False,
        steps=steps | more, statuses={"open": 5 * number, "corrected": number},
    )  # type: ignore[arg-type]  # fmt: skip


ROUNDS = [_round(1, 0.5), _round(2, 0.4), _round(3, 0.6, refused=True, gain=-0.5)]


def test_table_picture_and_metrics(tmp_path: Path) -> None:
    headings, rows = status.table([*ROUNDS, Round(number=4, began="", cases=9, sweep=False)])
    assert rows[1] == [
        "2",
        "PROCEED",
        "40.0 %",
        "10.0 %",
        "10",
        "2",
        "promoted",
        "30.0 %",
        "50.0 %",
    ]
    assert rows[2][6] == "refused: gate"
    assert rows[3] == ["4", "", "", "", "", "", "not finished", "", ""]
    assert headings[-2:] == ["clean", "phone"]
    for name in ("rounds.png", "rounds.svg"):
        status.plot(ROUNDS, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
    status.plot([], tmp_path / "none.png")
    with pytest.raises(UserError, match="png"):
        status.plot(ROUNDS, tmp_path / "rounds.pdf")
    board = tmp_path / "board"
    with Tracker(TrackerSettings(enabled=False), tensorboard=board) as tracker:
        tracker.init(config={})
        status.log_rounds(tracker, ROUNDS)
    found = scalars(board)
    assert found["rounds/promotions"] == [(0, 2)]
    assert found["rounds/wer/phone"][0][1] == pytest.approx(0.7)
    assert found["rounds/cases/open"] == [(0, 15)]
