"""Which parameters train in a phase: name patterns of the recipe, matched against the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from asr_gate.train import recipes
from asr_gate.train.recipes import RecipeError


@dataclass(frozen=True)
class MatchedGroup:
    """A group of the recipe, with the parameters that its patterns match."""

    name: str
    learning_rate: float
    parameters: dict[str, nn.Parameter]

    @property
    def size(self) -> int:
        """Number of values in all its parameters."""
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


def match(
    model: nn.Module,
    phases: Sequence[recipes.Phase],
    hint: Callable[[Iterable[str]], str] = lambda names: "",
) -> dict[str, list[MatchedGroup]]:
    """The groups of every phase, by the phase's name.

    Args:
        model: may be without weights.
        phases: of the recipe.
        hint: from the model's names, what the error says besides.

    Raises:
        RecipeError: a pattern matches nothing, or a parameter is in two groups of one phase; all
            such errors together, with the names that the model has.
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
        raise RecipeError(f"{'; '.join(shown)}. The model has {summary(named)}{hint(named)}")
    return result


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern without ranges; `*` is any text."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def summary(names: Iterable[str]) -> str:
    """Parameter names in one line: numbered layers as ranges, and modules as one."""
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


def count_parameters(model: nn.Module) -> int:
    """Number of values in all its parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def saved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """The buffers of a model that belong to its checkpoints, as statistics of a batch norm."""
    saved = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


def freeze_all_but(model: nn.Module, groups: Sequence[MatchedGroup]) -> None:
    """Only the groups' parameters get gradients; the other gradients are deleted."""
    trained = {id(parameter) for group in groups for parameter in group.parameters.values()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
        parameter.grad = None
