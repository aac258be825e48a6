"""Whisper behind the interface of all families."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipes
from asr_gate.train.data.examples import Batch, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.interface import Family, Heard, Source, TokenMemory
from asr_gate.train.families.whisper.checkpoint import (
    Description,
    load_pretrained,
    load_source,
    window_seconds,
)
from asr_gate.train.families.whisper.encoder import WindowEncoder, WindowExample
from asr_gate.train.families.whisper.loss import TranscriptLoss
from asr_gate.train.families.whisper.memory import token_memory
from asr_gate.train.families.whisper.tiny import tiny_source
from asr_gate.train.model.arithmetic import moved
from asr_gate.train.model.checkpoint import save_pretrained
from asr_gate.train.model.layers import set_gradient_checkpointing


class Whisper(Family):
    """An encoder of windows, and a decoder that is told language and task."""

    name = "whisper"
    title = "Whisper"
    generates = True
    audio = "model.encoder."
    # A row is a window, whatever its length: 1,500 encoder positions, and some 60 tokens.
    sizes = recipes.Sizes(
        tokens_per_second=52.0, enough_tokens=3_200, fewest_tokens=1_984, window=30.0
    )
    rounded: ClassVar[tuple[type[nn.Module], ...]] = (nn.Linear, nn.Conv1d)

    save = staticmethod(save_pretrained)

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """By `model_type`."""
        return config.get("model_type") == "whisper"

    def source(self, settings: recipes.Model, rows: Sequence[Row]) -> Source:
        """A checkpoint, or a tiny model with a tokenizer learnt from the rows' texts."""
        mine = _mine(settings)
        if mine.tiny is not None:
            return tiny_source(mine.tiny, (row.utterance.text for row in rows))
        return load_source(str(mine.pretrained), mine.revision)

    def open(self, checkpoint: str) -> Source:
        """A folder or hub id."""
        return load_source(checkpoint, None)

    def encoder(
        self, source: Source, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> WindowEncoder:
        """Windows, prompts and transcripts."""
        return WindowEncoder(source, settings, audited)

    def on_meta(self, source: Source, settings: recipes.Model) -> WhisperForConditionalGeneration:
        """Names and shapes."""
        with torch.device("meta"):
            return WhisperForConditionalGeneration(copy.deepcopy(_described(source).config))

    def build(
        self, source: Source, settings: recipes.Model, *, seed: int
    ) -> WhisperForConditionalGeneration:
        """Loaded or random."""
        if settings.pretrained is not None:
            return load_pretrained(settings.pretrained, settings.revision, source)
        torch.manual_seed(seed)
        model = WhisperForConditionalGeneration(copy.deepcopy(_described(source).config))
        model.generation_config = copy.deepcopy(_described(source).generation)
        return model

    def load(self, checkpoint: str) -> WhisperForConditionalGeneration:
        """A folder or hub id."""
        return load_pretrained(checkpoint, None, self.open(checkpoint))

    def objective(self, model: WhisperForConditionalGeneration) -> TranscriptLoss:
        """The loss on the transcript and its end token."""
        return TranscriptLoss(model)

    def score(
        self,
        model: WhisperForConditionalGeneration,
        encoder: WindowEncoder,
        batch: Batch,
        limits: Sequence[int],
        device: torch.device,
    ) -> list[Heard]:
        """The audio goes through the encoder once, for the loss and for the transcript."""
        objective = TranscriptLoss(model)
        packed = moved(objective.pack(batch.inputs), device, objective.on_host)
        states = packed["audio_states"] = objective.audio_states(packed.pop("input_features"))
        losses = objective.by_row(**packed).tolist()
        prompts = [encoder.prompt(row.language) for row in batch.rows]
        written = _write(model, encoder, states, torch.tensor(prompts, device=device), limits)
        return [
            Heard(text, ended, loss=loss)
            for (text, ended), loss in zip(written, losses, strict=True)
        ]

    def transcribe(
        self,
        model: WhisperForConditionalGeneration,
        encoder: WindowEncoder,
        examples: Sequence[Example],
        device: torch.device,
        *,
        limit: int,
    ) -> list[Heard]:
        """Transcript, and of a multilingual model the language."""
        windows = [example for example in examples if isinstance(example, WindowExample)]
        features = torch.stack([example.features for example in windows]).to(device)
        states = TranscriptLoss(model).audio_states(features)
        if not encoder.multilingual:
            prompts = torch.stack([example.prompt for example in windows]).to(device)
            written = _write(model, encoder, states, prompts, [limit] * len(windows))
            return [Heard(text, ended) for text, ended in written]
        # That of a row whose language nobody has named is the start token alone.
        recognised = _languages(model, encoder, states)
        spoken = [
            int(example.prompt[1]) if len(example.prompt) > 1 else found
            for example, found in zip(windows, recognised, strict=True)
        ]
        prompts = torch.tensor([encoder.prompt_of(one) for one in spoken], device=device)
        written = _write(model, encoder, states, prompts, [limit] * len(windows))
        codes = {id: code for code, id in encoder.languages.items()}
        return [
            Heard(text, ended, LANGUAGES.get(codes[one], codes[one]).capitalize())
            for (text, ended), one in zip(written, spoken, strict=True)
        ]

    def token_memory(
        self, model: WhisperForConditionalGeneration, trained: Sequence[str]
    ) -> TokenMemory:
        """Counted from shapes."""
        return token_memory(model.config, trained)

    def embeddings(self, model: WhisperForConditionalGeneration) -> Literal["tied"]:
        """The output head is the word embeddings."""
        return "tied"

    def hint(self, names: Iterable[str]) -> str:
        """A tied head is no parameter of its own."""
        return " (proj_out.weight is the word embeddings, model.decoder.embed_tokens.weight)"

    def architecture(self, config: Description) -> dict[str, Any]:
        """Layers, widths, heads, vocabulary."""
        return {
            key: value
            for key, value in config.config.to_dict().items()
            if type(value) is int and not key.endswith("_token_id")
        }

    def layers(self, model: WhisperForConditionalGeneration) -> list[nn.Module]:
        """Of encoder and decoder."""
        return [*model.model.encoder.layers, *model.model.decoder.layers]

    def set_gradient_checkpointing(self, model: WhisperForConditionalGeneration, on: bool) -> None:
        """In encoder and decoder."""
        set_gradient_checkpointing(model, on)

    def longest(self, checkpoint: Source) -> Seconds:
        """One window."""
        return window_seconds(checkpoint.processor)


def _mine(settings: recipes.Model) -> recipes.WhisperModel:
    assert isinstance(settings, recipes.WhisperModel)
    return settings


def _described(source: Source) -> Description:
    assert isinstance(source.config, Description)
    return source.config


def _write(
    model: WhisperForConditionalGeneration,
    encoder: WindowEncoder,
    states: Tensor,
    prompts: Tensor,
    limits: Sequence[int],
) -> list[tuple[str, bool]]:
    """Transcripts by greedy decoding, and whether the model ended each.

    Args:
        model: on the device of `states`.
        encoder: of the model.
        states: what the encoder made of the audio.
        prompts: shape (rows, prompt tokens).
        limits: tokens where each transcript is cut off.
    """
    begin = prompts.shape[1]
    # Whisper's own generate wraps this one in what long audio and timestamps need. The tokens that
    # the checkpoint suppresses are suppressed here as well.
    settings = copy.deepcopy(model.generation_config)
    settings.update(
        # Of prompt and transcript, and not `max_new_tokens`: checkpoints set this one.
        max_length=min(begin + max(limits), encoder.most_decoder_tokens),
        do_sample=False,
        num_beams=1,
    )
    written = GenerationMixin.generate(
        model,
        generation_config=settings,
        encoder_outputs=BaseModelOutput(last_hidden_state=states),
        # The whole window is heard; it has to be said only because end and padding share an id.
        attention_mask=torch.ones(states.shape[:2], dtype=torch.long, device=states.device),
        decoder_input_ids=prompts,
    )
    found = []
    for tokens, limit in zip(written[:, begin:].tolist(), limits, strict=True):
        # Each at its own limit, so that its neighbours in the batch change nothing.
        new = tokens[:limit]
        ended = encoder.end_id in new
        said = new[: new.index(encoder.end_id)] if ended else new
        text = encoder.processor.tokenizer.decode(said, skip_special_tokens=True)
        found.append((text.strip(), ended))
    return found


def _languages(
    model: WhisperForConditionalGeneration, encoder: WindowEncoder, states: Tensor
) -> list[int]:
    """The likeliest language's token of each row."""
    known = torch.tensor(list(encoder.languages.values()), device=states.device)
    start = torch.full((len(states), 1), encoder.start_id, device=states.device)
    last = model.model.decoder(
        input_ids=start, encoder_hidden_states=states, use_cache=False
    ).last_hidden_state[:, -1]
    found: list[int] = known[model.proj_out(last)[:, known].argmax(1)].tolist()
    return found
