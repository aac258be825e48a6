"""Weights that never train may be stored in half the memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from asr_gate.train.model.parameter_groups import MatchedGroup


def only_frozen(
    model: nn.Module,
    phases: Iterable[Sequence[MatchedGroup]],
    modules: tuple[type[nn.Module], ...],
) -> dict[str, nn.Parameter]:
    """Parameters that no phase trains and that bfloat16 arithmetic rounds anyway, by name.

    They may be stored in bfloat16. What one phase trains must be float32 in all: a step is often
    less than bfloat16's last digit.

    Args:
        model: with its adapters.
        phases: the groups of every phase.
        modules: whose parameters autocast rounds; norms are none of them, since they compute in
            float32.
    """
    trained = {
        id(one) for groups in phases for group in groups for one in group.parameters.values()
    }
    return {
        f"{prefix}.{name}": parameter
        for prefix, module in model.named_modules()
        if isinstance(module, modules)
        for name, parameter in module.named_parameters(recurse=False)
        if id(parameter) not in trained
    }


def round_frozen(
    model: nn.Module,
    phases: Iterable[Sequence[MatchedGroup]],
    modules: tuple[type[nn.Module], ...],
) -> None:
    """Store them in bfloat16; arguments as in `only_frozen`."""
    for parameter in only_frozen(model, phases, modules).values():
        parameter.data = parameter.data.to(torch.bfloat16)
