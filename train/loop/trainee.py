"""The model as it trains: what each phase trains of it, its loss, and how processes share it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from asr_gate.train.data.examples import Encoder
from asr_gate.train.data.rows import Row
from asr_gate.train.distributed import Ranks
from asr_gate.train.families.interface import InputCache, Objective
from asr_gate.train.families.registry import family
from asr_gate.train.loop import resume
from asr_gate.train.loop.optimizer import build_optimizer
from asr_gate.train.loop.sharding import sharded, whole
from asr_gate.train.loop.step import ActivePhase
from asr_gate.train.loop.trial import try_largest_batches
from asr_gate.train.model.frozen import round_frozen
from asr_gate.train.model.parameter_groups import (
    MatchedGroup,
    freeze_all_but,
    match,
    saved_buffers,
)
from asr_gate.train.recipes import Phase, Recipe


class Trainee:
    """The whole model, and the one that trains: the same, or its sharded copy."""

    def __init__(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        recipe: Recipe,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        """Change nothing yet.

        Args:
            model: float32, on `device`.
            rows: those that train.
            recipe: of the run.
            device: where this process computes.
            ranks: this process among all that train together.
        """
        self.family = family(recipe.model.family)
        self.whole = model
        self.model = model
        """The model that trains."""
        self.rows = rows
        self.recipe = recipe
        self.device = device
        self.ranks = ranks
        self.sharded = recipe.sharding == "fsdp2" and ranks.world > 1
        self.objective: Objective = self.family.objective(model)
        self.groups: Mapping[str, Sequence[MatchedGroup]] = {}
        """The groups of each phase, with parameters of `model`."""
        self.restored: set[str] = set()
        """Names of the parameters that came from a state on disk."""
        self.trained: dict[str, nn.Parameter] = {}
        """Every parameter that any phase so far trained, by name."""
        self.begun: dict[str, torch.Tensor] = {}
        """The weights before the first step, where checkpoints keep a share of them."""
        if recipe.checkpoints.learned_share < 1:
            self.begun = {name: p.detach().clone() for name, p in model.named_parameters()}

    def prepare(self) -> None:
        """Make the model fast, shard it if the recipe says so, and find what each phase trains."""
        phases = match(self.whole, self.recipe.phases).values()
        if self.device.type == "cuda":
            round_frozen(self.whole, phases, self.family.rounded)
        self.family.make_fast(self.whole, self.recipe.model, self.device)
        if self.sharded:
            # The whole model is needed on the device only in evaluations.
            self.whole.to("cpu")
            self.objective = sharded(self.family, self.whole, self.ranks.world, self.device)
            self.model = self.objective.model
        self.groups = match(self.model, self.recipe.phases)

    def try_largest_batches(
        self, encoder: Encoder, steps: Sequence[Sequence[Sequence[Sequence[int]]]]
    ) -> None:
        """Run out of memory now, if at all, and not hours later."""
        try_largest_batches(
            self.family,
            self.model,
            self.objective,
            self.groups,
            encoder,
            self.rows,
            steps,
            self.recipe,
            self.device,
            shards=self.ranks.world if self.sharded else 1,
        )

    def begin(
        self, phase: Phase, previous: torch.optim.AdamW | None, state: Path | None
    ) -> ActivePhase:
        """Begin or resume a phase.

        Args:
            phase: of the recipe.
            previous: optimizer of the phase before; None: this process begins with this phase.
            state: on disk, whose moments the phase takes; None: it takes none.
        """
        groups = self.groups[phase.name]
        freeze_all_but(self.model, groups)
        self.family.set_gradient_checkpointing(self.model, phase.gradient_checkpointing)
        optimizer = build_optimizer(
            groups, self.recipe.optimizer, previous=previous, begin=self._begin_in(phase)
        )
        if state is not None:
            resume.restore_moments(state, self.model, optimizer)
        objective: nn.Module = self.objective
        if self.ranks.world > 1 and not self.sharded:
            # DDP reduces only parameters that took gradients when it was made: a new one per phase.
            objective = DistributedDataParallel(
                self.family.objective(self.whole),
                # No device_ids: batches are where they must be, and it would move the rest as well.
                # Gradients live in the buffers that are sent, and not there a second time.
                gradient_as_bucket_view=True,
            )
        active = ActivePhase(phase, groups, objective, optimizer, self._cache(groups))
        named = self.model.named_parameters()
        self.trained |= {name: p for name, p in named if name in self.restored}
        self.trained |= active.parameters
        return active

    def _begin_in(self, phase: Phase) -> set[str]:
        """Names of the parameters that begin to train at a switch; none in the first phase."""
        number = self.recipe.phases.index(phase)
        if not number:
            return set()
        before, now = (
            {name for group in self.groups[one.name] for name in group.parameters}
            for one in self.recipe.phases[number - 1 : number + 1]
        )
        return now - before

    def _cache(self, groups: Sequence[MatchedGroup]) -> InputCache | None:
        """What the phase leaves unchanged of the rows' inputs; None: it is computed each time."""
        if self.sharded:
            return None
        return self.family.cache(
            self.whole,
            self.rows,
            [name for group in groups for name in group.parameters],
            self.recipe.data,
            device=self.device,
            world=self.ranks.world,
        )

    def gather(self) -> None:
        """Copy what the sharded copy has learnt into the whole model; every process calls this."""
        if not self.sharded:
            return
        own = dict(self.whole.named_parameters())
        for name, parameter in self.trained.items():
            own[name].data.copy_(whole(parameter.detach()))
        learnt = saved_buffers(self.model)
        for name, buffer in saved_buffers(self.whole).items():
            buffer.copy_(learnt[name])

    @contextmanager
    def as_kept(self) -> Iterator[None]:
        """While it is entered, the whole model has the weights of a checkpoint: see
        `checkpoints.learned_share`. Call `gather` before."""
        share, own = self.recipe.checkpoints.learned_share, dict(self.whole.named_parameters())
        trained = {name: own[name].detach().clone() for name in self.begun}
        try:
            for name, begun in self.begun.items():
                own[name].data.copy_(torch.lerp(begun.to(own[name]), trained[name], share))
            yield
        finally:
            for name, before in trained.items():
                own[name].data.copy_(before)
