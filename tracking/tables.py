"""Tables with figures, text and recordings, for W&B and for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asr_gate.tracking.board import Board, as_markdown

if TYPE_CHECKING:
    import numpy as np
    import wandb
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """A recording as the cell of a table."""

    samples: NDArray[np.float32]
    """Shape (n,), from -1 to 1."""
    sample_rate: int


def _cell(cell: object) -> object:
    """A table's cell as W&B takes it."""
    if not isinstance(cell, Clip):
        return cell
    import wandb

    return wandb.Audio(cell.samples, sample_rate=cell.sample_rate)


def wandb_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> wandb.Table:
    """A table as W&B takes it."""
    import wandb

    names: list[Any] = list(columns)
    data = [[_cell(cell) for cell in row] for row in rows]
    try:
        return wandb.Table(columns=names, data=data)
    except TypeError:
        # A column of figures in which one cell says "n/a" has no type, which costs its charts.
        return wandb.Table(columns=names, data=data, allow_mixed_types=True)


def write_table(
    board: Board, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int
) -> None:
    """Write a table to TensorBoard as text, with its recordings beside it."""
    shown = []
    for index, row in enumerate(rows):
        for column, cell in zip(columns, row, strict=True):
            if isinstance(cell, Clip):
                title = f"{name}/{column}/{index}"
                board.audio(title, cell.samples, cell.sample_rate, step)
        shown.append([f"{name}: {index}" if isinstance(c, Clip) else c for c in row])
    board.text(name, as_markdown(columns, shown), step)
