"""Tables with numbers, text and audio, in the form that W&B and TensorBoard take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import wandb
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """Audio as the cell of a table."""

    samples: NDArray[np.float32]
    """Shape (n,), from -1 to 1."""
    sample_rate: int
    """Samples a second."""


def wandb_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> wandb.Table:
    """The table for W&B."""
    import wandb

    names: list[Any] = list(columns)
    data = [[_wandb_cell(cell) for cell in row] for row in rows]
    try:
        return wandb.Table(columns=names, data=data)
    except TypeError:
        # One "n/a" in a column of numbers. The column then has no type, so W&B cannot chart it.
        return wandb.Table(columns=names, data=data, allow_mixed_types=True)


def _wandb_cell(cell: object) -> object:
    if not isinstance(cell, Clip):
        return cell
    import wandb

    return wandb.Audio(cell.samples, sample_rate=cell.sample_rate)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The table in Markdown; a `|` in a cell is escaped and white space is collapsed."""

    def line(cells: Sequence[object]) -> str:
        texts = ("" if cell is None else str(cell) for cell in cells)
        return "| " + " | ".join(" ".join(t.replace("|", "\\|").split()) for t in texts) + " |"

    return "\n".join([line(columns), line(["---"] * len(columns)), *map(line, rows)])
