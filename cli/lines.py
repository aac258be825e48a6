"""Plain lines for people: columns, and no control characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as indented lines, the last column aligned on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        *left, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(left)}  {last.strip():>{widths[-1]}}"


def print_lines(lines: Sequence[str]) -> None:
    """Print lines; columns and indented commands keep their spaces."""
    from asr_gate.corpus.text.plain import plain

    for line in lines:
        click.echo(" ".join(map(plain, line.split(" "))))
