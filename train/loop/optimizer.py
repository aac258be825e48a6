"""AdamW for each phase, and the schedule of the learning rates over the whole run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from asr_gate.train import recipes
from asr_gate.train.model.parameter_groups import MatchedGroup


def build_optimizer(
    groups: Sequence[MatchedGroup],
    settings: recipes.Optimizer,
    previous: torch.optim.Optimizer | None = None,
) -> torch.optim.AdamW:
    """A new AdamW for one phase.

    Parameters that the phase before also trained keep their moments, so that they continue as if
    there had been no switch. Each torch group has `name`, that of the recipe's group, and `peak`,
    the learning rate before the schedule.

    Args:
        groups: what the phase trains.
        settings: of the recipe.
        previous: optimizer of the phase before.
    """
    torch_groups: list[dict[str, object]] = []
    for group in groups:
        parameters = group.parameters.values()
        for decay, chosen in (
            (settings.weight_decay, [one for one in parameters if one.ndim > 1]),
            (0.0, [one for one in parameters if one.ndim <= 1]),
        ):
            if chosen:
                torch_groups.append(
                    {
                        "params": chosen,
                        "weight_decay": decay,
                        "lr": group.learning_rate,
                        "peak": group.learning_rate,
                        "name": group.name,
                    }
                )
    betas = settings.beta1, settings.beta2
    optimizer = torch.optim.AdamW(torch_groups, betas=betas, fused=True)
    if previous is not None:
        for torch_group in optimizer.param_groups:
            for parameter in torch_group["params"]:
                if parameter in previous.state:
                    optimizer.state[parameter] = previous.state[parameter]
    return optimizer


def schedule(step: int, total: int, settings: recipes.Optimizer) -> float:
    """Share of the peak learning rates at a step (0 to `total` - 1); phases do not interrupt it."""
    warmup = round(settings.warmup * total)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - warmup)
    return settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rates(optimizer: torch.optim.Optimizer, share: float) -> dict[str, float]:
    """Set every group's learning rate to a share of its peak; returns the rates by group name."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
    return {str(group["name"]): float(group["lr"]) for group in optimizer.param_groups}
