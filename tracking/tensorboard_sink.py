"""TensorBoard's event files. They are written whatever becomes of W&B."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_gate.tracking.event_file import EventFile
from asr_gate.tracking.notices import Notices
from asr_gate.tracking.redact import one_line
from asr_gate.tracking.tables import Clip, markdown_table

if TYPE_CHECKING:
    from asr_gate.tracking.charts import Pixels


class TensorBoardSink:
    """Event files in one folder. When the disk takes no more, one line says so, and the rest is
    dropped.
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
        self._file: EventFile | None = None
        try:
            purge = None if resumed_after is None else resumed_after + 1
            self._file = EventFile(folder, purge_from=purge)
        except OSError as error:
            reason = error.strerror or one_line(error)
            line = f"{folder}: TensorBoard's files cannot be made ({reason})."
            notices.warn("tensorboard", line)
        if config and resumed_after is None:
            text = "```json\n" + json.dumps(config, indent=2, default=str) + "\n```"
            self._write(lambda file, step: file.text("config", text, step), 0)

    @property
    def active(self) -> bool:
        """Whether the files are open."""
        return self._file is not None

    def log_metrics(self, metrics: Mapping[str, object], step: int | None) -> None:
        """Write numbers as scalars and texts as texts; other values are left out."""

        def write(file: EventFile, step: int) -> None:
            for name, value in metrics.items():
                if isinstance(value, str):
                    file.text(name, value, step)
                elif (number := _number(value)) is not None:
                    file.scalar(name, number, step)

        self._write(write, step)
        if step is not None:
            self._last_step = max(self._last_step, step)

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None
    ) -> None:
        """Write a histogram."""
        self._write(lambda file, step: file.histogram(name, counts, edges, step), step)

    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int | None
    ) -> None:
        """Write a table as text, and its audio beside it under `NAME/COLUMN/ROW`."""
        shown = [
            [f"{name}: {n}" if isinstance(c, Clip) else c for c in r] for n, r in enumerate(rows)
        ]
        text = markdown_table(columns, shown)

        def write(file: EventFile, step: int) -> None:
            for number, row in enumerate(rows):
                for column, cell in zip(columns, row, strict=True):
                    if isinstance(cell, Clip) and len(cell.samples):
                        tag = f"{name}/{column}/{number}"
                        file.audio(tag, cell.samples, cell.sample_rate, step)
            file.text(name, text, step)

        self._write(write, step)

    def log_image(self, name: str, pixels: Pixels, step: int | None) -> None:
        """Write an image of shape (height, width, 3)."""
        self._write(lambda file, step: file.image(name, pixels, step), step)

    def alert(self, title: str, text: str, level: str) -> None:
        """Write it as a text under `alerts`, at the step of the last metrics."""
        line = f"**{title}** ({level}): {text}"
        self._write(lambda file, step: file.text("alerts", line, step), None)

    def finish(self, exit_code: int) -> None:
        """Close the files; whether the run failed is not in them."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            line = f"{self.folder}: the end of TensorBoard's files is missing ({one_line(error)})."
            self._notices.warn("tensorboard", line)

    def _write(self, write: Callable[[EventFile, int], object], step: int | None) -> None:
        if self._file is None:
            return
        try:
            write(self._file, self._last_step if step is None else step)
        except OSError as error:
            line = f"{self.folder}: TensorBoard's files end here ({one_line(error)})."
            self._notices.warn("tensorboard", line)
            self.finish(1)


def _number(value: object) -> float | None:
    """A number of Python, numpy or torch; None: it is something else."""
    if isinstance(value, (bool, int, float)):
        return float(value)
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        return _number(item())
    return None
