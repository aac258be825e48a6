"""TensorBoard's event files. They are written whatever becomes of W&B."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_gate.tracking.notices import Notices
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.tables import Clip, markdown_table

if TYPE_CHECKING:
    from asr_gate.tracking.charts import Pixels

FLUSH_SECONDS = 10
"""The library's own two minutes are too long for somebody who watches a run."""


class TensorBoardSink:
    """Event files in one folder, written by torch's `SummaryWriter`; loads torch.

    When the disk takes no more, it prints one line and drops the rest.
    """

    def __init__(
        self,
        folder: Path,
        notices: Notices,
        *,
        config: Mapping[str, object],
        resumed_after: int | None = None,
    ) -> None:
        """Open the folder; a folder that cannot be made costs one line.

        Args:
            folder: made if missing; files that are in it stay.
            notices: where warnings go.
            config: written as text at step 0.
            resumed_after: hide the entries of an earlier start after this step; None: it is new.
        """
        self.folder = folder
        self._notices = notices
        self._last_step = 0
        self._writer: Any = None
        try:
            self._writer = _open(folder, resumed_after)
        except OSError as error:
            reason = error.strerror or one_line(error)
            line = f"{folder}: TensorBoard's files cannot be made ({reason})."
            notices.warn("tensorboard", line)
        if config and resumed_after is None:
            text = "```json\n" + json.dumps(config, indent=2, default=str) + "\n```"
            self._write(lambda writer, step: writer.add_text("config", text, step), 0)

    @property
    def active(self) -> bool:
        """Whether the files are open."""
        return self._writer is not None

    def log_metrics(self, metrics: Mapping[str, object], step: int | None) -> None:
        """Write numbers as scalars and texts as texts; other values are left out."""

        def write(writer: Any, step: int) -> None:
            for name, value in metrics.items():
                if isinstance(value, str):
                    writer.add_text(name, value, step)
                elif (number := _number(value)) is not None:
                    writer.add_scalar(name, number, step)

        self._write(write, step)
        if step is not None:
            self._last_step = max(self._last_step, step)

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None
    ) -> None:
        """Write a histogram; its sums take each value for the middle of its bin."""
        middles = [(low + high) / 2 for low, high in pairwise(edges)]
        pairs = list(zip(counts, middles, strict=True))
        self._write(
            lambda writer, step: writer.add_histogram_raw(
                name,
                min=edges[0],
                max=edges[-1],
                num=sum(counts),
                sum=sum(count * middle for count, middle in pairs),
                sum_squares=sum(count * middle**2 for count, middle in pairs),
                # A limit is the upper end of its bin, so the first edge needs an empty bin.
                bucket_limits=list(edges),
                bucket_counts=[0.0, *counts],
                global_step=step,
            ),
            step,
        )

    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int | None
    ) -> None:
        """Write a table as text, and its audio beside it under `NAME/COLUMN/ROW`."""
        shown = [
            [f"{name}: {n}" if isinstance(c, Clip) else c for c in r] for n, r in enumerate(rows)
        ]
        text = markdown_table(columns, shown)

        def write(writer: Any, step: int) -> None:
            for number, row in enumerate(rows):
                for column, cell in zip(columns, row, strict=True):
                    if isinstance(cell, Clip):
                        _write_audio(writer, f"{name}/{column}/{number}", cell, step)
            writer.add_text(name, text, step)

        self._write(write, step)

    def log_image(self, name: str, pixels: Pixels, step: int | None) -> None:
        """Write an image of shape (height, width, 3)."""
        self._write(
            lambda writer, step: writer.add_image(name, pixels, step, dataformats="HWC"), step
        )

    def alert(self, title: str, text: str, level: str) -> None:
        """Write it as a text under `alerts`, at the step of the last metrics."""
        line = f"**{title}** ({level}): {text}"
        self._write(lambda writer, step: writer.add_text("alerts", line, step), None)

    def finish(self, exit_code: int) -> None:
        """Close the files; whether the run failed is not in them."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except OSError as error:
            line = f"{self.folder}: the end of TensorBoard's files is missing ({one_line(error)})."
            self._notices.warn("tensorboard", line)

    def _write(self, write: Callable[[Any, int], object], step: int | None) -> None:
        if self._writer is None:
            return
        try:
            write(self._writer, self._last_step if step is None else step)
        except OSError as error:
            self._writer = None
            line = f"{self.folder}: TensorBoard's files end here ({one_line(error)})."
            self._notices.warn("tensorboard", line)


def _open(folder: Path, resumed_after: int | None) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    _hide_traceback_of_writer_thread()
    purge = None if resumed_after is None else resumed_after + 1
    return SummaryWriter(str(folder), purge_step=purge, flush_secs=FLUSH_SECONDS)


def _write_audio(writer: Any, name: str, clip: Clip, step: int) -> None:
    import numpy as np

    if len(clip.samples) > 1:  # the library fails on less
        # It prints a warning about samples outside of -1 to 1 on standard output.
        samples = np.nan_to_num(clip.samples).clip(-1, 1)
        writer.add_audio(name, samples, step, clip.sample_rate)


def _hide_traceback_of_writer_thread() -> None:
    """Print no traceback when the library's writer thread fails on a full disk.

    The next call to the writer raises the same error, and that one we handle.
    """
    earlier_hook = threading.excepthook
    if getattr(earlier_hook, "hides_tensorboard", False):
        return

    def hook(failed: threading.ExceptHookArgs) -> None:
        module = type(failed.thread).__module__
        is_writer = module == "tensorboard.summary.writer.event_file_writer"
        if not (is_writer and isinstance(failed.exc_value, OSError)):
            earlier_hook(failed)

    hook.hides_tensorboard = True  # type: ignore[attr-defined]
    threading.excepthook = hook


def _number(value: object) -> float | None:
    """A number of Python, numpy or torch; None: it is something else."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        return _number(item())
    return None
