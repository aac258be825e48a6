"""Histograms of a model's gradients and parameters.

W&B's own `watch` cannot be used: it logs to the one global run of the process, and the tracker's
run is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch
    from torch import nn

BINS = 64

Histogram = tuple[list[float], list[float]]
"""Counts, and the edges of their bins; there is one more edge than counts."""


class ModelWatch:
    """Hooks on the parameters that train; `taken` holds the latest histogram of each."""

    def __init__(self, model: nn.Module, *, gradients: bool, parameters: bool, every: int) -> None:
        """Set the hooks.

        Args:
            model: those of its parameters that take gradients now are watched.
            gradients: make histograms of gradients, of one backward pass, before clipping.
            parameters: make histograms of parameters, as they are at that pass.
            every: backward passes between two histograms.
        """
        self.gradients = gradients
        self.parameters = parameters
        self.every = every
        self.taken: dict[str, Histogram] = {}
        self._passes: dict[str, int] = {}
        self._hooks = [
            cast(Any, parameter).register_hook(partial(self._record, name, parameter))
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        ]

    def take(self) -> dict[str, Histogram]:
        """The histograms since the last call, by `gradients/NAME` and `parameters/NAME`."""
        taken, self.taken = self.taken, {}
        return taken

    def close(self) -> None:
        """Remove the hooks."""
        for hook in self._hooks:
            hook.remove()

    def _record(self, name: str, parameter: nn.Parameter, gradient: torch.Tensor) -> None:
        passes = self._passes[name] = self._passes.get(name, 0) + 1
        if passes % self.every:
            return
        if self.gradients:
            self.taken[f"gradients/{name}"] = histogram(gradient)
        if self.parameters:
            self.taken[f"parameters/{name}"] = histogram(parameter.detach())


def histogram(numbers: torch.Tensor) -> Histogram:
    """Count the finite numbers in 64 equal bins from the smallest to the largest."""
    import torch

    finite = numbers.detach().float().flatten()
    finite = finite[torch.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts: Sequence[float] = torch.histc(finite, BINS, low, high).tolist()
    return list(counts), [low + (high - low) * number / BINS for number in range(BINS + 1)]
