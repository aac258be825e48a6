"""What the tracker needs of a place to log to; TensorBoard and W&B are the two there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asr_gate.tracking.charts import Pixels


class Sink(Protocol):
    """A place to log to. When its disk or server fails, it warns once and raises nothing."""

    @property
    def active(self) -> bool:
        """Whether it still takes anything."""

    def log_metrics(self, metrics: Mapping[str, object], step: int | None) -> None:
        """Log values by name at a step; None: the step of the last metrics."""

    def log_histogram(
        self, name: str, counts: Sequence[float], edges: Sequence[float], step: int | None
    ) -> None:
        """Log counts between edges; there is one more edge than counts."""

    def log_table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int | None
    ) -> None:
        """Log a table. A cell is a number, a text, None (empty) or a `Clip`."""

    def log_image(self, name: str, pixels: Pixels, step: int | None) -> None:
        """Log an image of shape (height, width, 3)."""

    def alert(self, title: str, text: str, level: str) -> None:
        """Log a message for a person; `level` is INFO, WARN or ERROR."""

    def finish(self, exit_code: int) -> None:
        """Write what is left and close. An exit code other than 0 means that the run failed."""
