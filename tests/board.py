"""TensorBoard's files, read back by its own reader."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def open_board(folder: Path) -> EventAccumulator:
    """The whole of what a folder holds."""
    board = EventAccumulator(str(folder), size_guidance=dict.fromkeys(("scalars", "tensors"), 0))
    board.Reload()
    return board


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by name, in their order."""
    board = open_board(folder)
    return {
        name: [(event.step, event.value) for event in board.Scalars(name)]
        for name in board.Tags()["scalars"]
    }


def texts(folder: Path, name: str) -> list[str]:
    """What was logged as text under a name; nothing, where there is none."""
    board, tag = open_board(folder), f"{name}/text_summary"
    if tag not in board.Tags()["tensors"]:
        return []
    return [event.tensor_proto.string_val[0].decode() for event in board.Tensors(tag)]


def numbers(history: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """The same of a W&B run's rows, without what the client adds."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in history:
        for name, value in row.items():
            if isinstance(value, (int, float)) and not name.startswith("_"):
                found[name].append((int(row["_step"]), float(value)))
    return dict(found)
