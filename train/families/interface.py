"""What a family of recognisers gives, so that everything else trains and evaluates any of them.

A family says how a model is built, what it is given and what it hears. It does not know how a run
goes: steps, phases, processes, states, names of checkpoints, scores and tracking are everyone's.

A new family is a file here with a subclass of `Family` (CONTRIBUTING.md, "A family"). Models are
`torch.nn.Module`, and nothing here assumes that transformers has made them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipes
from asr_gate.train.data.examples import Batch, Encoder, Example
from asr_gate.train.data.rows import Row


@dataclass(frozen=True)
class Source:
    """Where a model comes from: all of it but the weights."""

    title: str
    """For the user: a hub id, a folder, `tiny random …`."""
    config: Any
    """The family's own description of the architecture."""
    processor: Any
    """What turns audio and text into the model's input; it is saved with each checkpoint."""
    tokens: int
    """Size of the vocabulary."""
    most_tokens: int
    """The largest row that the model can take, as `Encoder.count_tokens` counts."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The model's transcript of one row."""

    text: str
    finished: bool = True
    """Whether the model ended it by itself, before it was cut off."""
    language: str | None = None
    """As the model recognised it; None: it does not say."""
    loss: float = 0.0
    """Of the reference, in nats, summed over its tokens; `Family.score` alone gives it."""


@dataclass(frozen=True)
class TokenMemory:
    """Bytes of activations that are kept for the backward pass, for each token of a batch."""

    plain: int
    checkpointed: int
    """With gradient checkpointing."""


class Objective(nn.Module, ABC):
    """The loss of a batch, summed over its targets.

    It is a sum and not a mean, so that the caller can divide by the targets of a whole step,
    however many batches and processes the step has.
    """

    on_host: ClassVar[frozenset[str]] = frozenset()
    """Names of what `pack` gives that is not moved to the device."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    @abstractmethod
    def forward(self, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Loss in nats, summed; a scalar, float32.

        Args:
            weights: weight of each row's tokens, shape (rows,); None: 1.
            inputs: from `pack`, on the device.
        """

    def pack(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch with everything counted that would make the device wait; on the host.

        Args:
            inputs: of a `Batch`, or of an `InputCache`.
        """
        return dict(inputs)


class InputCache(Protocol):
    """Inputs of rows that are the same in each epoch of a phase, computed once."""

    def inputs_of(self, batch: Batch) -> dict[str, Tensor]:
        """The batch's inputs, with what is known in place of what it would be computed from."""


class Family(ABC):
    """One kind of recogniser. What is not abstract has a plain default."""

    name: ClassVar[recipes.FamilyName]
    """As recipes name it."""
    title: ClassVar[str]
    """As users know it."""
    generates: ClassVar[bool]
    """Whether a transcript is written token by token, so that it must be cut off somewhere."""
    timed: ClassVar[bool] = False
    """Whether `loop.expected_time` knows how long a GPU takes."""
    audio: ClassVar[str] = ""
    """Begins the names of the audio encoder's parameters, for that."""
    sizes: ClassVar[recipes.Sizes] = recipes.Sizes()
    """What `auto` in a recipe goes by."""
    rounded: ClassVar[tuple[type[nn.Module], ...]] = (nn.Linear, nn.Conv1d, nn.Conv2d)
    """Modules whose frozen weights a GPU may store in bfloat16: autocast rounds them anyway."""

    # Without weights

    @abstractmethod
    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint's `config.json` is of this family; it may be anybody's."""

    @abstractmethod
    def source(self, settings: recipes.Model, rows: Sequence[Row]) -> Source:
        """What a recipe's model is: that of a checkpoint, or a tiny one.

        Args:
            settings: of the recipe.
            rows: those that train, to learn a vocabulary from their texts.

        Raises:
            UserError: no such checkpoint, or not one of this family.
        """

    @abstractmethod
    def open(self, checkpoint: str) -> Source:
        """What a checkpoint is: a folder or hub id; errors as in `source`."""

    @abstractmethod
    def encoder(
        self, source: Source, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> Encoder:
        """What turns rows into this model's batches; see `Encoder`.

        Raises:
            UserError: the recipe's data settings or the checkpoint do not go with this family.
        """

    @abstractmethod
    def on_meta(self, source: Source, settings: recipes.Model) -> nn.Module:
        """The architecture on the meta device: names and shapes of parameters, without memory.

        Adapters are added by the caller.
        """

    # With weights, float32 on the CPU

    @abstractmethod
    def build(self, source: Source, settings: recipes.Model, *, seed: int) -> nn.Module:
        """The model that training begins with: weights loaded, or random by the seed.

        Raises:
            UserError: no weights, or weights that do not fit the architecture exactly.
        """

    @abstractmethod
    def load(self, checkpoint: str) -> nn.Module:
        """The model of a checkpoint; errors as in `build`."""

    @abstractmethod
    def save(
        self,
        folder: Path,
        model: Any,
        processor: Any,
        *,
        weights: Mapping[str, Tensor] | None,
        dtype: torch.dtype,
    ) -> None:
        """Write a checkpoint into an empty folder, which `open` and `load` read.

        Args:
            folder: exists.
            model: is not changed.
            processor: of the encoder.
            weights: what is written in place of the model's own: adapters merged, another type;
                tensors that were one are still one. None: the model's own.
            dtype: of the weights that are written.
        """

    @abstractmethod
    def objective(self, model: Any) -> Objective:
        """The loss of a model."""

    @abstractmethod
    def score(
        self,
        model: Any,
        encoder: Any,
        batch: Batch,
        limits: Sequence[int],
        device: torch.device,
    ) -> list[Heard]:
        """Loss and transcript of each row, by greedy decoding; in the order of the batch's rows.

        Called in evaluation mode, without gradients, under the arithmetic of the device.

        Args:
            model: on `device`.
            encoder: from `encoder`.
            batch: from its `evaluation_batch`, with at least one row.
            limits: tokens where each transcript is cut off, if the family generates.
            device: where the model is.
        """

    @abstractmethod
    def transcribe(
        self,
        model: Any,
        encoder: Any,
        examples: Sequence[Example],
        device: torch.device,
        *,
        limit: int,
    ) -> list[Heard]:
        """Transcript of each row without a reference; otherwise as `score`.

        Args:
            model: on `device`.
            encoder: from `encoder`.
            examples: the rows' texts are empty; so are languages that nobody has named.
            device: where the model is.
            limit: tokens where each transcript is cut off, if the family generates.
        """

    @abstractmethod
    def token_memory(self, model: Any, trained: Sequence[str]) -> TokenMemory:
        """What each token of a batch takes in a phase that trains these parameters.

        Args:
            model: may be on the meta device.
            trained: their names.
        """

    # With defaults

    def embeddings(self, model: Any) -> Literal["tied", "untied"] | None:
        """Whether output head and word embeddings are one matrix; None: there is no such pair."""
        return None

    def hint(self, names: Iterable[str]) -> str:
        """Added to the error for a pattern that matches none of these parameters; may be empty."""
        return ""

    def architecture(self, config: Any) -> dict[str, Any]:
        """Numbers of the architecture, for the tracker."""
        return {}

    def layers(self, model: Any) -> list[nn.Module]:
        """Modules that FSDP2 gathers one after the other; none: the whole model at once."""
        return []

    def set_gradient_checkpointing(self, model: Any, on: bool) -> None:
        """Let layers recompute their activations in the backward pass, or keep them.

        Raises:
            UserError: the family cannot do it.
        """
        if on:
            raise UserError(
                f"{self.title} keeps its activations: set gradient_checkpointing=false in each "
                "phase, and lower data.batch_seconds if memory does not suffice"
            )

    def kernels(self, settings: recipes.Model, device: torch.device) -> Literal["liger", "torch"]:
        """Whose kernels compute.

        Raises:
            UserError: what the recipe asks for is not here.
        """
        return "torch"

    def make_fast(self, model: Any, settings: recipes.Model, device: torch.device) -> None:
        """Change a model in place, adapters and all, so that it computes the same in less time."""
        return None

    def cache(
        self,
        model: Any,
        rows: Sequence[Row],
        trained: Iterable[str],
        settings: recipes.Data,
        *,
        device: torch.device,
        world: int,
    ) -> InputCache | None:
        """Keeps what a phase leaves unchanged, under `data.audio_cache_gib`; None: nothing is kept.

        Args:
            model: on `device`; never sharded.
            rows: those that train.
            trained: names of the parameters that the phase trains.
            settings: of the recipe.
            device: where the inputs are needed.
            world: number of processes that use the same disk.
        """
        return None

    def longest(self, checkpoint: Source) -> Seconds | None:
        """The longest audio that the model hears at once; None: there is no such limit.

        `Encoder.check` refuses longer rows.
        """
        return None
