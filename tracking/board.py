"""TensorBoard's files: the record that is always there, whatever becomes of W&B."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_gate.tracking.charts import Pixels


class Board:
    """Event files in one folder, written by torch's `SummaryWriter`; loads torch.

    Its methods raise OSError where the disk does not take them.
    """

    def __init__(self, folder: Path, *, after: int | None = None) -> None:
        """Open the folder.

        Args:
            folder: made if it is missing; what is in it is left.
            after: the step after which an earlier start's entries no longer count; None: all do.
        """
        from torch.utils.tensorboard import SummaryWriter

        _hush_its_thread()
        purge = None if after is None else after + 1
        self.folder = folder
        # Ten seconds instead of two minutes: whoever watches a run wants to see it.
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge, flush_secs=10)

    def metrics(self, values: Mapping[str, object], step: int) -> None:
        """Numbers as scalars, texts as texts; anything else has methods of its own."""
        for name, value in values.items():
            if isinstance(value, str):
                self._writer.add_text(name, value, step)
            elif (number := as_number(value)) is not None:
                self._writer.add_scalar(name, number, step)

    def text(self, name: str, text: str, step: int) -> None:
        """Markdown."""
        self._writer.add_text(name, text, step)

    def histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int
    ) -> None:
        """Counts between edges, of which there is one more."""
        middles = [(low + high) / 2 for low, high in pairwise(edges)]
        pairs = list(zip(counts, middles, strict=True))
        self._writer.add_histogram_raw(
            name,
            min=edges[0],
            max=edges[-1],
            num=sum(counts),
            sum=sum(count * middle for count, middle in pairs),
            sum_squares=sum(count * middle**2 for count, middle in pairs),
            # Each limit is a bucket's upper one; the first bucket has no lower.
            bucket_limits=list(edges),
            bucket_counts=[0.0, *counts],
            global_step=step,
        )

    def image(self, name: str, pixels: Pixels, step: int) -> None:
        """A picture of the shape (height, width, 3)."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def audio(self, name: str, samples: Any, sample_rate: int, step: int) -> None:
        """A recording; samples from -1 to 1, shape (n,). One that can't be heard is left out."""
        import numpy as np

        if len(samples) > 1:
            # What lies outside, the library says on standard output.
            heard = np.nan_to_num(samples).clip(-1, 1)
            self._writer.add_audio(name, heard, step, sample_rate)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def _hush_its_thread() -> None:
    """Keep the traceback of the thread that writes off the terminal.

    It fails where the disk is full, and its error is raised by the next call anyway.
    """
    tell = threading.excepthook
    if getattr(tell, "of_board", False):
        return

    def hush(failed: threading.ExceptHookArgs) -> None:
        its_own = type(failed.thread).__module__ == "tensorboard.summary.writer.event_file_writer"
        if not (its_own and isinstance(failed.exc_value, OSError)):
            tell(failed)

    hush.of_board = True  # type: ignore[attr-defined]
    threading.excepthook = hush


def as_number(value: object) -> float | None:
    """A number of Python's, numpy's or torch's, if it is one."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        return as_number(item())
    return None


def as_markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown; what would end a cell is escaped."""

    def line(cells: Sequence[object]) -> str:
        texts = ("" if cell is None else str(cell) for cell in cells)
        return "| " + " | ".join(" ".join(t.replace("|", "\\|").split()) for t in texts) + " |"

    return "\n".join([line(columns), line(["---"] * len(columns)), *map(line, rows)])
