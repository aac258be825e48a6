"""TensorBoard's event file, written by the parts of tensorboardX that make records.

Its `SummaryWriter` is not used: it writes from a thread, and where that thread dies of a full disk,
every later call waits for ever.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBERS = itertools.count()


class EventFile:
    """One event file; every call writes one event, which a reader sees at once."""

    def __init__(self, folder: Path, *, purge_from: int | None = None) -> None:
        """Make the folder and a new file in it.

        Args:
            folder: files that are in it stay.
            purge_from: hide events of earlier files from this step on; None: hide nothing.

        Raises:
            OSError: the file cannot be made, or here and in every call: the disk is full.
        """
        with _torch_hidden():
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads files in the order of their names, which begin with the time.
        suffix = f".{os.getpid()}.{next(_NUMBERS)}"
        self._file = EventsWriter(str(folder.absolute() / "events"), suffix)
        self._event = Event
        if purge_from is not None:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=purge_from, session_log=start))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number, in single precision."""
        from tensorboardX import summary

        self._summary(summary.scalar(tag, value), step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Write Markdown."""
        from tensorboardX import summary

        self._summary(summary.text(tag, text.encode(errors="replace").decode()), step)

    def histogram(
        self, tag: str, counts: Sequence[float], edges: Sequence[float], step: int
    ) -> None:
        """Write counts between edges; the sums take each value for the middle of its bin."""
        from tensorboardX import summary

        middles = [(low + high) / 2 for low, high in itertools.pairwise(edges)]
        pairs = list(zip(counts, middles, strict=True))
        found = summary.histogram_raw(
            tag,
            min=edges[0],
            max=edges[-1],
            num=sum(counts),
            sum=sum(count * middle for count, middle in pairs),
            sum_squares=sum(count * middle**2 for count, middle in pairs),
            # A limit is the upper end of its bin, so the first edge needs an empty bin.
            bucket_limits=list(edges),
            bucket_counts=[0.0, *counts],
        )
        self._summary(found, step)

    def image(self, tag: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Write an image of shape (height, width, 3)."""
        from tensorboardX import summary

        self._summary(summary.image(tag, pixels, dataformats="HWC"), step)

    def audio(self, tag: str, samples: NDArray[np.float32], rate: int, step: int) -> None:
        """Write sound of shape (n,); samples outside of -1 to 1 are clipped."""
        import numpy as np
        from tensorboardX import summary

        self._summary(summary.audio(tag, np.nan_to_num(samples).clip(-1, 1), rate), step)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _summary(self, found: Any, step: int) -> None:
        self._write(self._event(wall_time=time.time(), step=step, summary=found))

    def _write(self, event: Any) -> None:
        self._file.write_event(event)
        self._file.flush()


@contextmanager
def _torch_hidden() -> Iterator[None]:
    """Let tensorboardX not find torch: it would import it, for seconds, and can do without."""
    if "torch" in sys.modules:
        yield
        return
    hidden: Any = None  # what the import system takes for "not there"
    sys.modules["torch"] = hidden
    try:
        yield
    finally:
        del sys.modules["torch"]
