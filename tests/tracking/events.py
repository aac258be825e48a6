"""Read TensorBoard's files by its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read_events(folder: Path) -> Any:
    """An `EventAccumulator` that has read all there is."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    kinds = ("scalars", "tensors", "images", "audio", "histograms", "compressedHistograms")
    return EventAccumulator(str(folder), size_guidance=dict.fromkeys(kinds, 0)).Reload()


def texts(events: Any, name: str) -> list[str]:
    """What was logged as text under a name, in order."""
    found = events.Tensors(f"{name}/text_summary")
    return [event.tensor_proto.string_val[0].decode() for event in found]


def scalars(events: Any) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by name."""
    names = events.Tags()["scalars"]
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in names}
