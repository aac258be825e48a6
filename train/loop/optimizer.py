"""AdamW for each phase, and the schedule of the learning rates over the whole run."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import product

import torch

from asr_gate.train import recipes
from asr_gate.train.model.parameter_groups import MatchedGroup


def build_optimizer(
    groups: Sequence[MatchedGroup],
    settings: recipes.Optimizer,
    previous: torch.optim.Optimizer | None = None,
    begin: Collection[str] = (),
) -> torch.optim.AdamW:
    """A new AdamW for one phase.

    Parameters that the phase before also trained keep their moments, so that they continue as if
    there had been no switch. Each torch group has `name`, that of the recipe's group, `peak`, the
    learning rate before the schedule, and `begins`, whether its parameters are among `begin`.

    Args:
        groups: what the phase trains.
        settings: of the recipe.
        previous: optimizer of the phase before.
        begin: names of the parameters that did not train in the phase before.
    """
    torch_groups: list[dict[str, object]] = []
    for group in groups:
        # Those that go on come last: of a group with both, theirs is the rate that is shown.
        for begins, matrices in product((True, False), (True, False)):
            chosen = [
                one
                for name, one in group.parameters.items()
                if (name in begin) is begins and (one.ndim > 1) is matrices
            ]
            if chosen:
                torch_groups.append(
                    {
                        "params": chosen,
                        "weight_decay": settings.weight_decay if matrices else 0.0,
                        "lr": group.learning_rate,
                        "peak": group.learning_rate,
                        "name": group.name,
                        "begins": begins,
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


def beginning(step: int, steps: int, settings: recipes.Optimizer) -> float:
    """Share of the schedule's learning rate for parameters that begin to train in a phase.

    Args:
        step: of the phase, from 0.
        steps: of the whole phase.
        settings: of the recipe.
    """
    rising = min(settings.group_warmup, steps // 10)
    return min(1.0, (step + 1) / (rising + 1))


def set_learning_rates(
    optimizer: torch.optim.Optimizer, share: float, begun: float = 1.0
) -> dict[str, float]:
    """Set every group's learning rate; returns the rates by group name.

    Args:
        optimizer: from `build_optimizer`.
        share: of its peak, from `schedule`.
        begun: share of that for parameters that begin in this phase, from `beginning`.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share * (begun if group["begins"] else 1.0)
    return {str(group["name"]): float(group["lr"]) for group in optimizer.param_groups}
