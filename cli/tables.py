"""Tables that fit the terminal, or lists in their place: no column is ever dropped."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from asr_gate.corpus.text.plain import isolated

NAME_WIDTH = 14
"""The first column is folded to this width before a table becomes a list."""


def fits(headings: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> bool:
    """Whether a table fits the console, its first column folded."""
    name, *others = _widths(headings, rows)
    # Three spaces lie between columns, and one on either side.
    return min(name, NAME_WIDTH) + sum(3 + width for width in others) + 2 <= console.width


def _widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    columns = zip(headings, *rows, strict=True)
    return [max(cell_len(isolated(cell)) for cell in column) for column in columns]


def show_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console,
    *,
    left: Collection[int] = (),
    marked: Collection[int] = (),
) -> None:
    """Print rows as a table, or one below the other where the console is too narrow.

    Args:
        headings: of the columns; the first one names the row.
        rows: cells; control characters are shown, not obeyed.
        console: prints.
        left: columns of words; numbers are aligned on the right.
        marked: rows in bold red.
    """
    if not fits(headings, rows, console):
        for number, row in enumerate(rows):
            style = "bold red" if number in marked else "bold"
            console.print(Text(isolated(row[0]), style), soft_wrap=True)
            for heading, cell in zip(headings[1:], row[1:], strict=True):
                if cell:
                    console.print(Text(f"  {heading}: {isolated(cell)}"), soft_wrap=True)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    least = min(_widths(headings, rows)[0], NAME_WIDTH)
    table.add_column(headings[0], overflow="fold", min_width=least)
    for column, heading in enumerate(headings[1:], start=1):
        table.add_column(heading, justify="left" if column in left else "right", no_wrap=True)
    for number, row in enumerate(rows):
        style = "bold red" if number in marked else ""
        table.add_row(*(Text(isolated(cell)) for cell in row), style=style)
    console.print(table)
