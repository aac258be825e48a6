"""Chooses the rows, counts everything, and makes the plan of a run, before weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipes
from asr_gate.train.authorise import (
    Authorisation,
    require_apart,
    require_fit_split,
    require_no_leaks,
)
from asr_gate.train.data.examples import Encoder
from asr_gate.train.data.own_sets import OwnSets
from asr_gate.train.data.rows import Selection, is_slow_to_read, refuse_unfit, select
from asr_gate.train.devices import choose_device
from asr_gate.train.distributed import Ranks, choose_threads
from asr_gate.train.families.interface import Family, Source
from asr_gate.train.families.registry import family
from asr_gate.train.loop.batch_plan import count_steps, plan_steps
from asr_gate.train.loop.expected_time import expected_time
from asr_gate.train.model.lora import add_adapters
from asr_gate.train.model.memory import fixed_memory, gpu_memory, static_memory
from asr_gate.train.model.parameter_groups import MatchedGroup, count_parameters, match
from asr_gate.train.plan import Plan, PlannedGroup, PlannedPhase, PlannedTime


@dataclass(frozen=True)
class Prepared:
    """Everything that a run needs, except for the weights."""

    plan: Plan
    recipe: recipes.Recipe
    """With a plain value in place of every `auto`."""
    selection: Selection
    encoder: Encoder
    source: Source
    device: torch.device
    ranks: Ranks


def prepare(
    name: str,
    recipe: recipes.Recipe,
    authorised: Authorisation,
    ranks: Ranks,
    own: OwnSets = OwnSets(),  # noqa: B008  (frozen)
    *,
    accept_leaks: bool = False,
    declared: recipes.Gpu | None = None,
) -> Prepared:
    """Choose the rows, match the phases with the model's parameters, and count.

    Args:
        name: of the recipe.
        recipe: of the run.
        authorised: the corpus that may train, and the report that allows it.
        ranks: this process among all that train together.
        own: manifests of their own to evaluate and to test on.
        accept_leaks: whether rows may be used that stand in several splits.
        declared: the GPU that the plan is for; None: what is here.

    Raises:
        UserError: no usable checkpoint, device or row, a pattern that matches nothing, or leaks.
        Stopped: the split to train on is STOP by itself.
    """
    transformers_logging.disable_progress_bar()  # its bars would break ours
    device = choose_device(recipe.device, ranks, "device=")
    selection = select(authorised.corpus.utterances, authorised.excluded, recipe.data, own)
    audited = {row.utterance.id for row in selection.rows()} - own.sounds.keys()
    if selection.splits is not None:
        require_fit_split(authorised, selection.splits.train)
        if not accept_leaks:
            require_no_leaks(authorised, audited)
    if own.recorded and not accept_leaks:
        require_apart(authorised, audited, own.rows())
    kind = family(recipe.model.family)
    source = kind.source(recipe.model, selection.training)
    model = kind.on_meta(source, recipe.model)
    if recipe.model.lora is not None:
        add_adapters(model, recipe.model.lora, seed=recipe.seed)
    groups = match(model, recipe.phases, kind.hint)
    shards = ranks.world if recipe.sharding == "fsdp2" else 1
    memory = recipes.GPU_MEMORY[declared] if declared else gpu_memory(device)
    asked = recipe
    recipe = recipes.resolve_for_machine(
        asked,
        memory_needs(kind, model, groups, shards=shards),
        kind.sizes,
        memory=memory,
        processes=ranks.world,
    )
    encoder = kind.encoder(source, recipe.data, authorised.audio.also(own.sounds))
    selection = refuse_unfit(selection, encoder.admit, recipe.data)
    audio = sum(row.seconds for row in selection.training)
    parameters = count_parameters(model)
    planned = plan_steps(selection, recipe, ranks.world)
    time = expected_time(
        selection,
        recipe,
        planned,
        groups,
        audio=kind.audio,
        parameters=parameters,
        world=ranks.world,
        gpu=recipe.budget.gpu or _nearest(device) if kind.timed else None,
    )
    hours, cost = _expected(recipe, time, audio, ranks.world)
    training = [row.utterance.id for row in selection.training]
    plan = Plan(
        recipe=name,
        report=authorised.name,
        decision=authorised.report.decision,
        corpus=len(authorised.corpus.utterances),
        training=len(training),
        training_audio=audio,
        evaluation=[row.utterance.id for row in selection.evaluation],
        evaluation_of=selection.evaluation_of,
        test=[row.utterance.id for row in selection.test],
        splits=selection.splits,
        hold_out=selection.hold_out,
        own=own.recorded,
        set_aside=selection.set_aside,
        excluded=selection.excluded,
        weighted=[id for id in training if id in authorised.excluded],
        excluded_weight=recipe.data.excluded_weight,
        refused=selection.refused,
        family=kind.name,
        model=source.title,
        parameters=parameters,
        tokens=source.tokens,
        embeddings=kind.embeddings(model),
        phases=[
            PlannedPhase(
                name=phase.name,
                epochs=phase.epochs,
                groups=[
                    PlannedGroup(
                        name=group.name, learning_rate=group.learning_rate, parameters=group.size
                    )
                    for group in groups[phase.name]
                ],
                gradient_checkpointing=phase.gradient_checkpointing,
            )
            for phase in recipe.phases
        ],
        steps=count_steps(planned),
        device=str(device),
        arithmetic="bfloat16" if device.type == "cuda" else "float32",
        processes=ranks.world,
        sharding=recipe.sharding,
        kernels=kind.kernels(recipe.model, device),
        memory=max(
            static_memory(model, groups, kind.rounded if device.type == "cuda" else None).values()
        )
        // shards,
        slow_to_read=sum(map(is_slow_to_read, selection.training)),
        gpu_memory=memory,
        chosen=recipes.chosen(asked, recipe),
        hours=hours,
        cost=cost,
        time=time,
    )
    choose_threads(recipe.threads, device, plan.parameters)
    return Prepared(plan, recipe, selection, encoder, source, device, ranks)


def build_model(recipe: recipes.Recipe, source: Source) -> nn.Module:
    """The model with its weights (loaded, or random), and its adapters if the recipe has any."""
    model = family(recipe.model.family).build(source, recipe.model, seed=recipe.seed)
    if recipe.model.lora is not None:
        add_adapters(model, recipe.model.lora, seed=recipe.seed)
    return model


def memory_needs(
    kind: Family,
    model: nn.Module,
    groups: Mapping[str, Sequence[MatchedGroup]],
    *,
    shards: int = 1,
) -> dict[str, recipes.Need]:
    """What every phase needs on a GPU, counted from shapes; by the phase's name.

    Args:
        kind: family of the model.
        model: may be without weights.
        groups: what each phase trains.
        shards: processes that share weights, gradients and moments.
    """
    needs = {}
    for phase, fixed in fixed_memory(model, groups, kind.rounded, shards=shards).items():
        trained = [name for group in groups[phase] for name in group.parameters]
        token = kind.token_memory(model, trained)
        needs[phase] = recipes.Need(fixed, token.plain, token.checkpointed)
    return needs


def _nearest(device: torch.device) -> recipes.Gpu | None:
    """The GPU that the time is counted for; None: the run is on a CPU."""
    if device.type != "cuda":
        return None
    memory = torch.cuda.get_device_properties(device).total_memory
    return "A100-80GB" if memory > 60e9 else "A100-40GB"


def _expected(
    recipe: recipes.Recipe, time: PlannedTime, audio: Seconds, world: int
) -> tuple[float | None, float | None]:
    """Expected hours and cost; None: nothing says how fast, or how dear."""
    speed, price = recipe.budget.realtime, recipe.budget.price
    if time.expected is not None:
        hours = time.expected.total / 3600
    elif speed is not None:
        hours = audio * recipe.epochs / (speed * world) / 3600
    else:
        return None, None
    return hours, None if price is None else hours * world * price
