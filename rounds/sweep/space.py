"""From the parameters of a sweep to what Optuna draws from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asr_gate.corpus.errors import UserError
from asr_gate.rounds.sweep.file import Loaded, Parameter, SweepFile
from asr_gate.train import recipes

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

TRIALS = 20
"""Where a file does not say how many."""

OWN = ("wandb", "data.evaluation_part")
ELSEWHERE = ("data.validation", "data.test")
"""Keys that the file of a sweep, which may come from anybody, cannot set: a sweep sets the first
ones itself, and the login goes where `wandb.base_url` says; the others name files, and a recipe's
must lie in the current folder."""

Settings = dict[str, Any]
"""Values by key."""


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """`key=value` for `asr train`."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]


def constants(sweep: SweepFile) -> Settings:
    """What is the same in all trials."""
    return {key: one.value for key, one in sweep.parameters.items() if one.kind == "constant"}


def distributions(sweep: SweepFile) -> dict[str, BaseDistribution]:
    """What is drawn. Choices are their places in the list, since Optuna takes plain values only."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for key, one in sweep.parameters.items():
        low, high = one.min, one.max
        if one.kind == "categorical":
            assert one.values is not None
            found[key] = CategoricalDistribution([_label(value) for value in one.values])
        elif one.kind == "int_uniform":
            found[key] = IntDistribution(int(low or 0), int(high or 0))
        elif one.kind != "constant":
            log = one.kind == "log_uniform_values"
            found[key] = FloatDistribution(float(low or 0), float(high or 0), log=log)
    return found


def settings_of(sweep: SweepFile, drawn: Mapping[str, Any]) -> Settings:
    """The values of a trial, constants included, in the order of the file."""
    found = {}
    for key, one in sweep.parameters.items():
        if one.kind == "constant":
            found[key] = one.value
        elif one.values is not None:
            found[key] = next(value for value in one.values if _label(value) == drawn[key])
        else:
            found[key] = drawn[key]
    return found


def drawn_of(sweep: SweepFile, settings: Settings) -> Settings:
    """What Optuna keeps of a trial with these values."""
    varied = distributions(sweep)
    return {key: _label(value) for key, value in settings.items() if key in varied}


def _label(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)


def grid(sweep: SweepFile) -> dict[str, list[Any]]:
    """Every value of every parameter that is drawn."""
    found = {}
    for key, one in sweep.parameters.items():
        if one.values is not None:
            found[key] = [_label(value) for value in one.values]
        elif one.kind == "int_uniform":
            found[key] = list(range(int(one.min or 0), int(one.max or 0) + 1))
    return found


def trials(sweep: SweepFile) -> int:
    """How many trials the sweep has."""
    if sweep.method != "grid":
        return sweep.run_cap or TRIALS
    whole = math.prod(len(values) for values in grid(sweep).values())
    return min(whole, sweep.run_cap or whole)


def sampler(sweep: SweepFile, number: int) -> BaseSampler:
    """What draws trial `number`: the same values again for the same trials before it."""
    from optuna.samplers import GridSampler, RandomSampler, TPESampler

    seed = (sweep.controller.seed * 1_000_003 + number) % 2**32
    if sweep.method == "grid":
        return GridSampler(grid(sweep), seed=sweep.controller.seed)
    if sweep.method == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=min(10, 1 + trials(sweep) // 3))


def pruner(sweep: SweepFile) -> BasePruner:
    """What ends trials early; a resource is one evaluation."""
    from optuna.pruners import HyperbandPruner, NopPruner, SuccessiveHalvingPruner

    rule = sweep.early_terminate
    if rule is None:
        return NopPruner()
    if rule.min_iter is not None:
        return SuccessiveHalvingPruner(min_resource=rule.min_iter, reduction_factor=rule.eta)
    assert rule.max_iter is not None and rule.s is not None
    least = max(1, rule.max_iter // rule.eta**rule.s)
    return HyperbandPruner(least, rule.max_iter, rule.eta)


def check_space(loaded: Loaded, given: list[str]) -> None:
    """Refuse keys that the recipe does not have, and values that do not fit it.

    Args:
        loaded: the file.
        given: overrides that all trials have.

    Raises:
        UserError: names the line of the parameter.
    """
    sweep = loaded.content
    for key in [*(one.partition("=")[0] for one in given), *sweep.parameters]:
        where = loaded.where(*(("parameters", key) if key in sweep.parameters else ("command",)))
        if any(f"{key}.".startswith(f"{one}.") for one in OWN) or key == "data":
            raise UserError(f"{where}: {key}: a sweep sets it itself; leave it out")
        if key in ELSEWHERE:
            raise UserError(f"{where}: {key}: names files; write a recipe of your own that does")
    try:
        recipes.load(sweep.program, given)
    except UserError as error:
        raise UserError(f"{loaded.where('program')}: {error}") from error
    for key, one in sweep.parameters.items():
        for value in one.extremes():
            try:
                recipes.load(sweep.program, [*given, *overrides({key: value})])
            except UserError as error:
                raise UserError(f"{loaded.where('parameters', key)}: {error}") from error


def narrowed(one: Parameter, best: Any, shrink: float = 0.25) -> Parameter:
    """A parameter around its best value: a part `shrink` of its range, of logarithms if it is log.

    Of choices in order, the neighbours of the best stay.
    """
    if one.kind == "constant":
        return one
    if one.values is not None:
        place = next(at for at, value in enumerate(one.values) if value == best)
        near = one.values[max(0, place - 1) : place + 2]
        return Parameter(values=near if _ordered(one.values) else one.values)
    assert one.min is not None and one.max is not None
    if one.kind == "log_uniform_values":
        half = math.log(one.max / one.min) * shrink / 2
        low, high = float(best * math.exp(-half)), float(best * math.exp(half))
    else:
        half = (one.max - one.min) * shrink / 2
        low, high = best - half, best + half
    low, high = max(low, one.min), min(high, one.max)
    if one.kind == "int_uniform":
        first, last = math.floor(low), math.ceil(high)
        return Parameter(distribution="int_uniform", min=first, max=max(last, first + 1))
    return Parameter(distribution=one.kind, min=_short(low), max=_short(high))


def _ordered(values: list[Any]) -> bool:
    """Whether they are numbers from low to high, or the other way."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return numbers and values in (sorted(values), sorted(values, reverse=True))


def _short(number: float) -> float:
    return float(f"{number:.4g}")
