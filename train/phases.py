"""Phases as data: name patterns become parameter groups, and optimizers hand on their state."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import Qwen3ASRForConditionalGeneration

from asr_gate.train import recipe
from asr_gate.train.recipe import RecipeError


@dataclass(frozen=True)
class MatchedGroup:
    """A group of the recipe and the parameters that its patterns name."""

    name: str
    learning_rate: float
    parameters: dict[str, nn.Parameter]

    @property
    def size(self) -> int:
        """Numbers in all its parameters together."""
        return sum(parameter.numel() for parameter in self.parameters.values())


def expand(pattern: str) -> list[str]:
    """`layers.{2..4}.*` → `layers.2.*`, `layers.3.*`, `layers.4.*`.

    Raises:
        RecipeError: a range that runs backwards.
    """
    span = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if span is None:
        return [pattern]
    first, last = int(span[1]), int(span[2])
    if last < first:
        raise RecipeError(f"{pattern}: the range {span[0]} runs backwards")
    return [
        rest
        for number in range(first, last + 1)
        for rest in expand(f"{pattern[: span.start()]}{number}{pattern[span.end() :]}")
    ]


def match(model: nn.Module, phases: Sequence[recipe.Phase]) -> dict[str, list[MatchedGroup]]:
    """Resolve the patterns of every phase, by the phase's name.

    Raises:
        RecipeError: a pattern that matches nothing, or a parameter in two groups of one phase; all
            such faults at once, with what the model has.
    """
    named = dict(model.named_parameters())
    faults: list[str] = []
    result: dict[str, list[MatchedGroup]] = {}
    for phase in phases:
        matched: list[MatchedGroup] = []
        for group in phase.groups:
            mine: dict[str, nn.Parameter] = {}
            for pattern in (one for many in group.parameters for one in expand(many)):
                hits = [name for name in named if matches(pattern, name)]
                if not hits:
                    faults.append(f"phase {phase.name}, {group.name}: {pattern} matches nothing")
                mine.update((name, named[name]) for name in hits)
            for other in matched:
                shared = mine.keys() & other.parameters.keys()
                if shared:
                    faults.append(
                        f"phase {phase.name}: {len(shared)} parameters are in both {other.name} "
                        f"and {group.name}, e.g. {min(shared)}"
                    )
            matched.append(MatchedGroup(group.name, group.learning_rate, mine))
        result[phase.name] = matched
    if faults:
        shown = faults[:6] + ([f"and {len(faults) - 6} more"] if len(faults) > 6 else [])
        tied = (
            " (lm_head.weight is the word embeddings: model.untie_embeddings is false)"
            if "lm_head.weight" not in named
            else ""
        )
        raise RecipeError(f"{'; '.join(shown)}. The model has {summary(named)}{tied}")
    return result


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern without ranges; `*` is any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def summary(names: Iterable[str]) -> str:
    """Parameter names in one line: numbered layers as ranges, and modules without their inside."""
    families: dict[str, list[int]] = {}
    for name in names:
        numbered = re.match(r"(.*?\.)(\d+)\.", name)
        if numbered:
            families.setdefault(f"{numbered[1]}{{}}.*", []).append(int(numbered[2]))
        else:
            parts = name.split(".")
            families.setdefault(".".join([*parts[:3], "*"]) if len(parts) > 3 else name, [])
    return ", ".join(
        family.replace("{}", f"{{{min(numbers)}..{max(numbers)}}}") if numbers else family
        for family, numbers in families.items()
    )


def freeze_all_but(model: nn.Module, groups: Sequence[MatchedGroup]) -> None:
    """Only the groups' parameters take gradients; gradients of the others are dropped."""
    trained = {id(parameter) for group in groups for parameter in group.parameters.values()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
        parameter.grad = None


def set_gradient_checkpointing(model: Qwen3ASRForConditionalGeneration, on: bool) -> None:
    """Let the layers of both towers compute their activations again on the way back, or keep them.

    In evaluation mode it is off in any case.
    """
    if not on:
        model.activation_checkpointing_disable()
        return
    model.activation_checkpointing_enable({"use_reentrant": False})
    # What it also turns on, and would not turn off again: gradients down to the embeddings and the
    # audio tower's first convolution, frozen or not. Only reentrant checkpoints need them.
    model.disable_input_require_grads()


def build_optimizer(
    groups: Sequence[MatchedGroup],
    settings: recipe.Optimizer,
    previous: torch.optim.Optimizer | None = None,
) -> torch.optim.AdamW:
    """A fresh AdamW for one phase.

    The moments of every parameter that `previous`, the phase before, also trained are carried over:
    a group that continues goes on as if there had been no switch. Each torch group has `name`, the
    recipe's group, and `peak`, its learning rate before the schedule.
    """
    torch_groups: list[dict[str, object]] = []
    for group in groups:
        parameters = group.parameters.values()
        for decay, members in (
            (settings.weight_decay, [one for one in parameters if one.ndim > 1]),
            (0.0, [one for one in parameters if one.ndim <= 1]),
        ):
            if members:
                torch_groups.append(
                    {
                        "params": members,
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


def schedule(step: int, total: int, settings: recipe.Optimizer) -> float:
    """Share of the peak rates at a step (from 0 to `total` - 1), over all phases together."""
    warmup = round(settings.warmup * total)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - warmup)
    return settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rates(optimizer: torch.optim.Optimizer, share: float) -> dict[str, float]:
    """Scale every group's peak rate; returns the rates by the group's name."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
    return {str(group["name"]): float(group["lr"]) for group in optimizer.param_groups}


def sizes(matched: Mapping[str, Sequence[MatchedGroup]]) -> dict[str, dict[str, int]]:
    """Parameter counts by phase and group."""
    return {phase: {g.name: g.size for g in groups} for phase, groups in matched.items()}
