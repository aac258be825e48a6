"""Encoders with a CTC head behind the interface of all families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCTC

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.train import recipes
from asr_gate.train.data.examples import Batch, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.ctc.encoder import LetterEncoder
from asr_gate.train.families.ctc.frames import reads_samples
from asr_gate.train.families.ctc.load import (
    KINDS,
    fitted,
    load_config,
    load_extractor,
    load_model,
    load_vocabulary,
    tiny,
)
from asr_gate.train.families.ctc.loss import LetterLoss
from asr_gate.train.families.ctc.vocabulary import Processor, Vocabulary
from asr_gate.train.families.interface import Family, Heard, Source, TokenMemory
from asr_gate.train.model.arithmetic import moved
from asr_gate.train.model.checkpoint import save_pretrained
from asr_gate.train.model.ctc import best_path
from asr_gate.train.model.layers import set_gradient_checkpointing

UNLIMITED = 2**31
"""Rows of any length."""

# Bytes for each frame and unit of width, under bfloat16 arithmetic; on paper, not measured.
LAYER = 40
CONVOLUTION = 6
"""Output, and what its norm and its activation keep."""
INPUT = 4


class Ctc(Family):
    """Letters frame by frame, without a language model."""

    name = "ctc"
    title = "a CTC model"
    generates = False

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """By `model_type`."""
        return config.get("model_type") in KINDS

    def source(self, settings: recipes.Model, rows: Sequence[Row]) -> Source:
        """A checkpoint or a tiny model; its letters are those of the rows, or the checkpoint's."""
        mine = _mine(settings)
        if mine.tiny is not None:
            vocabulary = Vocabulary.learnt(rows)
            config, extractor = tiny(mine.tiny, vocabulary)
            return _source("tiny random wav2vec 2.0", config, Processor(extractor, vocabulary))
        name, revision = str(mine.pretrained), mine.revision
        config = load_config(name, revision)
        extractor = load_extractor(name, revision)
        if mine.vocabulary == "corpus":
            vocabulary = Vocabulary.learnt(rows)
        else:
            vocabulary = load_vocabulary(name, revision, config, mine.adapter)
            vocabulary.require(rows, name)
        return _source(name, fitted(config, vocabulary), Processor(extractor, vocabulary))

    def open(self, checkpoint: str) -> Source:
        """A folder or hub id, with the letters that it has."""
        config = load_config(checkpoint, None)
        vocabulary = load_vocabulary(checkpoint, None, config, None)
        processor = Processor(load_extractor(checkpoint, None), vocabulary)
        return _source(checkpoint, fitted(config, vocabulary), processor)

    def encoder(
        self, source: Source, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> LetterEncoder:
        """Samples or filter banks, and letters."""
        return LetterEncoder(source.processor, source.config, settings, audited)

    def on_meta(self, source: Source, settings: recipes.Model) -> nn.Module:
        """Names and shapes."""
        with torch.device("meta"):
            return _from_config(source.config)

    def build(self, source: Source, settings: recipes.Model, *, seed: int) -> nn.Module:
        """Loaded with its own head or a new one, or random."""
        mine = _mine(settings)
        if mine.pretrained is None:
            torch.manual_seed(seed)
            return _from_config(source.config)
        model: nn.Module = load_model(
            mine.pretrained,
            mine.revision,
            source.config,
            new_head=mine.vocabulary == "corpus",
            adapter=mine.adapter,
            seed=seed,
        )
        return model

    def load(self, checkpoint: str) -> nn.Module:
        """A folder or hub id."""
        model: nn.Module = load_model(
            checkpoint, None, self.open(checkpoint).config, new_head=False
        )
        return model

    def save(
        self,
        folder: Path,
        model: Any,
        processor: Processor,
        *,
        weights: Mapping[str, Tensor] | None,
        dtype: torch.dtype,
    ) -> None:
        """As transformers' `AutoModelForCTC` and the aligner `hf:FOLDER` read it."""
        save_pretrained(folder, model, processor, weights=weights, dtype=dtype)

    def objective(self, model: Any) -> LetterLoss:
        """The CTC loss; the blank is the model's padding token."""
        return LetterLoss(model, int(model.config.pad_token_id))

    def score(
        self,
        model: Any,
        encoder: LetterEncoder,
        batch: Batch,
        limits: Sequence[int],
        device: torch.device,
    ) -> list[Heard]:
        """Loss and best path of the same emissions."""
        objective = self.objective(model)
        inputs = moved(objective.pack(batch.inputs), device, objective.on_host)
        logits, frames = objective.logits(inputs["values"], inputs["inputs"])
        losses = objective.losses(logits, frames, inputs).tolist()
        paths = best_path(logits, frames.tolist(), blank=objective.blank)
        return [
            Heard(encoder.vocabulary.text(path), loss=loss)
            for path, loss in zip(paths, losses, strict=True)
        ]

    def transcribe(
        self,
        model: Any,
        encoder: LetterEncoder,
        examples: Sequence[Example],
        device: torch.device,
        *,
        limit: int,
    ) -> list[Heard]:
        """Best path."""
        batch = encoder.batch(examples)
        objective = self.objective(model)
        logits, frames = objective.logits(batch.inputs["values"].to(device), batch.inputs["inputs"])
        paths = best_path(logits, frames.tolist(), blank=objective.blank)
        return [Heard(encoder.vocabulary.text(path)) for path in paths]

    def token_memory(self, model: Any, trained: Sequence[str]) -> TokenMemory:
        """Layers keep their activations from the lowest one that trains; counted on paper."""
        config = model.config
        layers = config.num_hidden_layers
        lowest = min(map(_layer, trained), default=layers)
        kept, first = layers - max(0, lowest), 0
        if lowest < 0 and reads_samples(config):
            steps, convolutions = 1, 0
            for width, stride in zip(
                reversed(config.conv_dim), reversed(config.conv_stride), strict=True
            ):
                convolutions += width * steps
                steps *= stride
            first = CONVOLUTION * convolutions
        rest = first + LAYER * config.hidden_size
        return TokenMemory(
            plain=rest + LAYER * config.hidden_size * kept,
            checkpointed=rest + INPUT * config.hidden_size * kept,
        )

    def architecture(self, config: Any) -> dict[str, Any]:
        """Layers, widths, heads, vocabulary."""
        return {
            key: value
            for key, value in config.to_dict().items()
            if type(value) is int and not key.endswith("_token_id")
        }

    def layers(self, model: Any) -> list[nn.Module]:
        """Of the encoder."""
        return list(model.base_model.encoder.layers)

    def set_gradient_checkpointing(self, model: Any, on: bool) -> None:
        """In the encoder."""
        set_gradient_checkpointing(model, on)


def _mine(settings: recipes.Model) -> recipes.CtcModel:
    assert isinstance(settings, recipes.CtcModel)
    return settings


def _from_config(config: Any) -> nn.Module:
    model: nn.Module = AutoModelForCTC.from_config(config)
    return model


def _source(title: str, config: Any, processor: Processor) -> Source:
    return Source(
        title,
        config,
        processor,
        tokens=len(processor.vocabulary.tokens),
        most_tokens=UNLIMITED,
    )


def _layer(name: str) -> int:
    """Number of the encoder's layer that a parameter is in; -1 below them, and many above."""
    _, found, rest = name.partition(".encoder.layers.")
    if found:
        return int(rest.partition(".")[0])
    return UNLIMITED if name.startswith("lm_head.") else -1
