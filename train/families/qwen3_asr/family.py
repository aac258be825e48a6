"""Qwen3-ASR behind the interface of all families."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.train import recipes
from asr_gate.train.data.examples import Batch, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.interface import Family, Heard, Source, TokenMemory
from asr_gate.train.families.qwen3_asr.audio_cache import TOWER, AudioCache, can_cache_audio
from asr_gate.train.families.qwen3_asr.build import (
    build_on_meta,
    build_random,
    is_tied,
    set_attention,
    tiny_config,
)
from asr_gate.train.families.qwen3_asr.encoder import PROMPT, PromptEncoder, collate
from asr_gate.train.families.qwen3_asr.fast import choose_kernels, make_fast
from asr_gate.train.families.qwen3_asr.load import load_config, load_pretrained, load_processor
from asr_gate.train.families.qwen3_asr.loss import TranscriptLoss
from asr_gate.train.families.qwen3_asr.memory import token_memory
from asr_gate.train.families.qwen3_asr.tokenizer import build_processor
from asr_gate.train.model.arithmetic import moved
from asr_gate.train.model.checkpoint import save_pretrained
from asr_gate.train.model.layers import set_gradient_checkpointing


class Qwen3ASR(Family):
    """A prompted language model, with the loss on the transcript alone."""

    name = "qwen3-asr"
    title = "Qwen3-ASR"
    generates = True
    audio = TOWER
    timed = True
    sizes = recipes.Sizes(tokens_per_second=22.0, enough_tokens=1_344, fewest_tokens=640)
    rounded: ClassVar[tuple[type[nn.Module], ...]] = (nn.Linear, nn.Conv2d, nn.Embedding)

    save = staticmethod(save_pretrained)

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """By `model_type`, or by the older layout's `thinker_config`."""
        return config.get("model_type") == "qwen3_asr" or "thinker_config" in config

    def source(self, settings: recipes.Model, rows: Sequence[Row]) -> Source:
        """A checkpoint, or a tiny model with a tokenizer learnt from the rows' texts."""
        tiny = _mine(settings).tiny
        if tiny is not None:
            processor = build_processor((row.utterance.text for row in rows), tiny.vocabulary)
            return _source("tiny random Qwen3-ASR", tiny_config(tiny, processor), processor)
        return self._open(str(settings.pretrained), settings.revision)

    def open(self, checkpoint: str) -> Source:
        """A folder or hub id, in either layout."""
        return self._open(checkpoint, None)

    def _open(self, checkpoint: str, revision: str | None) -> Source:
        # The configuration first: without a network, each file costs the hub client's retries.
        config = load_config(checkpoint, revision)
        return _source(checkpoint, config, load_processor(checkpoint, revision))

    def encoder(
        self, source: Source, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> PromptEncoder:
        """Prompts, features and transcripts."""
        return PromptEncoder(source.processor, settings, audited)

    def on_meta(self, source: Source, settings: recipes.Model) -> Qwen3ASRForConditionalGeneration:
        """Names and shapes, with embeddings untied if the recipe says so."""
        return build_on_meta(source.config, untie=_mine(settings).untie_embeddings)

    def build(
        self, source: Source, settings: recipes.Model, *, seed: int
    ) -> Qwen3ASRForConditionalGeneration:
        """Loaded or random, with the recipe's attention."""
        mine = _mine(settings)
        if mine.pretrained is not None:
            model = load_pretrained(mine.pretrained, mine.revision, untie=mine.untie_embeddings)
        else:
            model = build_random(source.config, untie=mine.untie_embeddings, seed=seed)
        set_attention(model, mine.attention)
        return model

    def load(self, checkpoint: str) -> Qwen3ASRForConditionalGeneration:
        """A folder or hub id, in either layout."""
        return load_pretrained(checkpoint, None, untie=False)

    def objective(self, model: Qwen3ASRForConditionalGeneration) -> TranscriptLoss:
        """The loss on the transcript and its end token."""
        return TranscriptLoss(model)

    def score(
        self,
        model: Qwen3ASRForConditionalGeneration,
        encoder: PromptEncoder,
        batch: Batch,
        limits: Sequence[int],
        device: torch.device,
    ) -> list[Heard]:
        """The audio goes through the tower once, for the loss and for the transcript."""
        objective = TranscriptLoss(model)
        whole = {name: x for name, x in batch.inputs.items() if not name.startswith(PROMPT)}
        packed = moved(objective.pack(whole), device, objective.on_host)
        states = packed["audio_states"] = objective.audio_states(packed)
        losses = objective.by_row(**packed).tolist()
        ids = batch.inputs[f"{PROMPT}input_ids"]
        placeholders = (ids.flatten() == model.config.audio_token_id).nonzero()[:, 0]
        prompts = {"input_ids": ids.to(device), "audio_at": placeholders.to(device)}
        written = model.generate(
            inputs_embeds=objective.embeddings({**prompts, "audio_states": states}),
            attention_mask=batch.inputs[f"{PROMPT}attention_mask"].to(device),
            max_new_tokens=max(limits),
            do_sample=False,
            pad_token_id=encoder.pad_id,
            eos_token_id=encoder.end_id,
        )
        heard = []
        for tokens, limit, loss in zip(written.tolist(), limits, losses, strict=True):
            # Each at its own limit, so that its neighbours in the batch change nothing.
            new = tokens[:limit]
            ended = encoder.end_id in new
            text = encoder.processor.tokenizer.decode(
                new[: new.index(encoder.end_id)] if ended else new, skip_special_tokens=True
            )
            heard.append(Heard(text.strip(), ended, loss=loss))
        return heard

    def transcribe(
        self,
        model: Qwen3ASRForConditionalGeneration,
        encoder: PromptEncoder,
        examples: Sequence[Example],
        device: torch.device,
        *,
        limit: int,
    ) -> list[Heard]:
        """Language and transcript."""
        batch = collate(examples, pad_id=encoder.pad_id, side="left", targets=False)
        inputs = {name: tensor.to(device) for name, tensor in batch.inputs.items()}
        written = model.generate(
            **inputs,
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=encoder.pad_id,
            eos_token_id=encoder.end_id,
        )
        new: Tensor = written[:, inputs["input_ids"].shape[1] :]
        said = encoder.processor.decode(new, return_format="parsed")
        ended = (new == encoder.end_id).any(dim=1).tolist()
        return [
            Heard(one["transcription"], end, one["language"])
            for one, end in zip(said, ended, strict=True)
        ]

    def token_memory(
        self, model: Qwen3ASRForConditionalGeneration, trained: Sequence[str]
    ) -> TokenMemory:
        """Counted from shapes."""
        return token_memory(model, trained)

    def embeddings(self, model: Qwen3ASRForConditionalGeneration) -> Literal["tied", "untied"]:
        """Whether the output head is the word embeddings."""
        return "tied" if is_tied(model) else "untied"

    def hint(self, names: Iterable[str]) -> str:
        """A tied head is no parameter of its own."""
        if "lm_head.weight" in names:
            return ""
        return " (lm_head.weight is the word embeddings: model.untie_embeddings is false)"

    def architecture(self, config: Qwen3ASRConfig) -> dict[str, dict[str, object]]:
        """Of both towers: layers, widths, heads, vocabulary."""
        return {
            part: {
                key: value
                for key, value in getattr(config, f"{part}_config").to_dict().items()
                if type(value) is int and not key.endswith("_token_id")
            }
            for part in ("audio", "text")
        }

    def layers(self, model: Qwen3ASRForConditionalGeneration) -> list[nn.Module]:
        """Of both towers."""
        towers = model.model.audio_tower, model.model.language_model
        return [layer for tower in towers for layer in tower.layers]

    def set_gradient_checkpointing(self, model: Qwen3ASRForConditionalGeneration, on: bool) -> None:
        """In both towers."""
        set_gradient_checkpointing(model, on)

    def kernels(self, settings: recipes.Model, device: torch.device) -> Literal["liger", "torch"]:
        """liger-kernel's on a GPU, where it is installed."""
        return choose_kernels(_mine(settings).kernels, device)

    def make_fast(
        self, model: Qwen3ASRForConditionalGeneration, settings: recipes.Model, device: torch.device
    ) -> None:
        """Fused kernels and compiled layers."""
        make_fast(model, _mine(settings), device)

    def cache(
        self,
        model: Qwen3ASRForConditionalGeneration,
        rows: Sequence[Row],
        trained: Iterable[str],
        settings: recipes.Data,
        *,
        device: torch.device,
        world: int,
    ) -> AudioCache | None:
        """The audio tower's outputs on disk, if the phase leaves the tower unchanged."""
        bound = int(settings.audio_cache_gib * 2**30)
        if not bound or not can_cache_audio(model, trained, settings):
            return None
        return AudioCache(model, rows, bound=bound, device=device, world=world)


def _mine(settings: recipes.Model) -> recipes.Qwen3ASRModel:
    assert isinstance(settings, recipes.Qwen3ASRModel)
    return settings


def _source(title: str, config: Qwen3ASRConfig, processor: Any) -> Source:
    return Source(
        title,
        config,
        processor,
        tokens=len(processor.tokenizer),
        most_tokens=config.get_text_config().max_position_embeddings,
    )
