"""Single numbers for what a recipe keeps in several places: `learning_rate=0.5`, `epochs=4`.

They are what a sweep varies, and they work wherever an override does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from asr_gate.train.recipes.section import RecipeError

FACTORS = (0.01, 100.0)
"""Lowest and highest factor of the learning rates. A rate, such as 3e-5, is far below."""


def expand(content: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """What an override of a single number sets.

    Args:
        content: the whole recipe, with its defaults.
        key: one of `SCALARS`.
        value: of the override.

    Returns:
        Values by dotted key.

    Raises:
        RecipeError: the value does not fit, or this recipe has nothing of the kind.
    """
    return SCALARS[key](content, value)


def _learning_rate(content: Mapping[str, Any], value: Any) -> dict[str, Any]:
    if not _is_number(value) or not FACTORS[0] <= value <= FACTORS[1]:
        raise RecipeError(
            f"learning_rate={value}: is a factor of all rates of the recipe, from {FACTORS[0]:g} "
            f"to {FACTORS[1]:g}; 0.5 halves them"
        )
    return {
        f"phases.{at}.groups.{number}.learning_rate": group["learning_rate"] * value
        for at, phase in enumerate(content["phases"])
        for number, group in enumerate(phase["groups"])
    }


def _epochs(content: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Phases keep their shares of all epochs, and each has one at least."""
    phases = content["phases"]
    if not isinstance(value, int) or isinstance(value, bool) or value < len(phases):
        least = f"{len(phases)} or more, one for each phase"
        raise RecipeError(f"epochs={value}: must be a whole number, {least}")
    lengths = [len(phase["epochs"]) for phase in phases]
    spare = value - len(phases)
    exact = [max(0.0, length * value / sum(lengths) - 1) for length in lengths]
    scale = spare / total if (total := sum(exact)) else 0.0
    exact = [scale * one for one in exact] if scale else [spare / len(phases)] * len(phases)
    counts = [1 + math.floor(one + 1e-9) for one in exact]
    # What rounding down has left over goes to those that it took most from.
    by_rest = sorted(range(len(exact)), key=lambda at: (-round(exact[at] % 1, 9), at))
    for at in by_rest[: value - sum(counts)]:
        counts[at] += 1
    found, first = {}, 1
    for at, count in enumerate(counts):
        found[f"phases.{at}.epochs"] = list(range(first, first + count))
        first += count
    return found


def _dropout(content: Mapping[str, Any], value: Any) -> dict[str, Any]:
    if content["model"].get("lora") is None:
        raise RecipeError(
            f"dropout={value}: only adapters have one (model.lora.dropout); this recipe has none"
        )
    return {"model.lora.dropout": value}


def _plain(key: str) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    return lambda content, value: {key: value}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


SCALARS: Mapping[str, Callable[[Mapping[str, Any], Any], dict[str, Any]]] = {
    "learning_rate": _learning_rate,
    "epochs": _epochs,
    "batch_seconds": _plain("data.batch_seconds"),
    "accumulate": _plain("optimizer.accumulate"),
    "warmup": _plain("optimizer.warmup"),
    "weight_decay": _plain("optimizer.weight_decay"),
    "dropout": _dropout,
}
"""By their names."""
