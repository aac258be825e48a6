"""Tables fit, or are lists."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from asr_gate.cli.tables import NAME_WIDTH, fits, show_table

HEADINGS = ("domain", "rows", "WER A", "WER B")
ROWS = [("whatsapp_noisy", "30", "12.34", "11.20"), ("דומיין\x1b", "5", "", "100.00")]


def printed(width: int) -> list[str]:
    stream = io.StringIO()
    show_table(HEADINGS, ROWS, Console(file=stream, width=width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_table_is_one_to_its_last_column_of_space() -> None:
    natural = NAME_WIDTH + 3 + 4 + 3 + 5 + 3 + 6 + 2
    assert fits(HEADINGS, ROWS, Console(width=natural))
    assert not fits(HEADINGS, ROWS, Console(width=natural - 1))
    table = printed(natural)
    (heading,) = [line for line in table if "domain" in line]
    assert heading.split() == " ".join(HEADINGS).split()
    assert any(line.split() == list(ROWS[0]) for line in table), "not folded"


@pytest.mark.parametrize("width", [10, 20, 39])
def test_else_a_list_says_all_of_it(width: int) -> None:
    lines = printed(width)
    assert lines[:4] == ["whatsapp_noisy", "  rows: 30", "  WER A: 12.34", "  WER B: 11.20"]
    assert lines[4].endswith("\\x1b")
    assert lines[5:] == ["  rows: 5", "  WER B: 100.00"], "without what is empty"
