"""From a row to the tensors of the model: prompt, audio features and transcript.

The model's input for one row, with `language English<asr_text>` given as at inference:

    <|im_start|>system\\n<|im_end|>\\n
    <|im_start|>user\\n<|audio_start|>…<|audio_end|><|im_end|>\\n
    <|im_start|>assistant\\n                               so far the prompt has no loss
    language English<asr_text>                             its end, the language tag: loss on each
                                                           token with `data.learn_language`
    the transcript<|im_end|>                               the target: loss on each token
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Qwen3ASRProcessor

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.examples import Batch, Encoder, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.qwen3_asr.tokenizer import END_OF_TURN, TRANSCRIPT
from asr_gate.train.plan import Refused

FRAMES_PER_SECOND = 100
"""Mel frames per second."""

IGNORE = -100
"""Label of a position without loss."""

PROMPT = "prompt_"
"""Begins the names of a batch's inputs that are for generation."""


def audio_tokens(seconds: Seconds) -> int:
    """How many placeholder tokens stand for audio of this length.

    Each whole second of 100 mel frames becomes 13 tokens, the rest one token per 8 frames.
    """
    # The feature extractor pads clips to at least half a second.
    whole, rest = divmod(int(max(seconds, 0.5) * FRAMES_PER_SECOND), FRAMES_PER_SECOND)
    return whole * 13 + -(-rest // 8)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What comes before a transcript."""

    text: str
    """With one audio placeholder."""
    tokens: int
    """Without that placeholder."""
    tag: int
    """How many of them, at the end, are the language tag."""


@dataclass(frozen=True, slots=True)
class PromptedExample(Example):
    """One row, ready for a batch."""

    prompt: Tensor
    """Shape (prompt tokens,), int64, audio placeholders included."""
    tag: int
    """How many tokens at the end of the prompt are the language tag."""
    target: Tensor
    """Shape (target tokens,), int64: the transcript and the end token."""
    features: Tensor
    """Log-mel features, shape (mel bins, padded frames), float32."""
    features_mask: Tensor
    """Shape (padded frames,), int64: 1 where there is audio."""

    @property
    def tokens(self) -> int:
        """Of prompt, audio and target."""
        return len(self.prompt) + len(self.target)

    @property
    def size(self) -> int:
        """Bytes of its features."""
        return self.features.nbytes

    def augmented(self, augmentation: Augmentation) -> Self:
        """With bands of its features masked."""
        frames = int(self.features_mask.sum())
        return replace(self, features=augmentation.mask_features(self.features, frames))


class PromptEncoder(Encoder):
    """Turns rows into examples with the model's own processor."""

    processor: Qwen3ASRProcessor

    def __init__(
        self,
        processor: Qwen3ASRProcessor,
        settings: recipes.Data,
        audited: AuditedAudio | None = None,
    ) -> None:
        """Prepare; see `Encoder`.

        Raises:
            UserError: the tokenizer is not Qwen3-ASR's.
        """
        super().__init__(processor, settings, audited)
        tokenizer = processor.tokenizer
        known = tokenizer.get_vocab()
        for token in (END_OF_TURN, TRANSCRIPT):
            if token not in known:
                raise UserError(f"the tokenizer has no {token}: it is not Qwen3-ASR's tokenizer")
        self.sample_rate = processor.feature_extractor.sampling_rate
        self.end_id: int = known[END_OF_TURN]
        self.pad_id: int = self.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._prompts: dict[str, Prompt] = {}

    def prompt(self, language: str) -> Prompt:
        """The prompt for audio in a language; empty: the model is to say the language itself."""
        if language not in self._prompts:
            self._prompts[language] = self._render_prompt(language)
        return self._prompts[language]

    def _render_prompt(self, language: str) -> Prompt:
        tag = f"language {language}{TRANSCRIPT}" if language else ""
        messages = [
            {"role": "user", "content": [{"type": "audio"}]},
            {"role": "assistant", "content": [{"type": "text", "text": tag}]},
        ]
        text = self.processor.apply_chat_template(
            messages, tokenize=False, continue_final_message=True
        )
        return Prompt(text, self._count(text) - 1, self._count(tag))

    def _count(self, text: str) -> int:
        return len(self.processor.tokenizer(text, add_special_tokens=False).input_ids)

    def target(self, row: Row) -> list[int]:
        """Tokens of the transcript and the end token."""
        text = " ".join(row.utterance.text.split())
        ids = self.processor.tokenizer(text, add_special_tokens=False).input_ids
        return [*ids, self.end_id]

    def count_tokens(self, row: Row) -> int:
        """Tokens of prompt, audio and target, by the row's length; no audio is opened."""
        return self.prompt(row.language).tokens + audio_tokens(row.seconds) + len(self.target(row))

    def encode(self, row: Row, samples: NDArray[np.float32]) -> PromptedExample:
        """The example of a row whose audio is decoded."""
        prompt = self.prompt(row.language)
        # One row at a time: in a batch, padding would change the last frames of shorter rows.
        encoded = self.processor(
            text=[prompt.text],
            audio=[samples],
            sampling_rate=self.sample_rate,
        )
        return PromptedExample(
            row=row,
            prompt=encoded["input_ids"][0],
            tag=prompt.tag,
            target=torch.tensor(self.target(row)),
            features=encoded["input_features"][0],
            features_mask=encoded["input_features_mask"][0].long(),
        )

    def batch(self, items: Sequence[Example | Refused]) -> Batch:
        """A batch to train on, padded on the right."""
        return collate(items, pad_id=self.pad_id, learn_language=self.settings.learn_language)

    def evaluation_batch(self, items: Sequence[Example | Refused]) -> Batch:
        """Padded for the loss and, as `PROMPT…`, for generation; features are made once."""
        whole = collate(items, pad_id=self.pad_id)
        prompts = collate(items, pad_id=self.pad_id, side="left", targets=False).inputs
        for name in ("input_ids", "attention_mask") if prompts else ():
            whole.inputs[PROMPT + name] = prompts[name]
        return whole

    def silence(self) -> Batch:
        """One second of silence without loss."""
        inputs = self.processor(
            text=[self.prompt("English").text],
            audio=[np.zeros(self.sample_rate, dtype=np.float32)],
            sampling_rate=self.sample_rate,
        )
        labels = torch.full_like(inputs["input_ids"], IGNORE)
        return Batch([], {**inputs, "labels": labels}, [], [])


def collate(
    items: Sequence[Example | Refused],
    *,
    pad_id: int,
    side: Literal["left", "right"] = "right",
    targets: bool = True,
    learn_language: bool = False,
) -> Batch:
    """Pad examples to one length.

    Labels are built from the lengths of prompt and target, never by comparing ids, so they are
    right on either padding side and if padding and end token share an id.

    Args:
        items: examples, and refused rows, which are set aside.
        pad_id: padding token.
        side: side of the padding; generation needs the left.
        targets: append the targets and build labels; without them the batch is for generation.
        learn_language: put labels on the language tags, too.

    Returns:
        Its inputs: `input_ids`, `attention_mask` and, with targets, `labels`: shape (rows, tokens);
        `input_features`: (rows, mel bins, frames); `input_features_mask`: (rows, frames).
    """
    examples = [item for item in items if isinstance(item, PromptedExample)]
    refused = [item for item in items if isinstance(item, Refused)]
    if not examples:
        return Batch([], {}, [], refused)
    sequences = [
        torch.cat([example.prompt, example.target]) if targets else example.prompt
        for example in examples
    ]
    tokens = max(len(sequence) for sequence in sequences)
    frames = max(len(example.features_mask) for example in examples)
    count, bins = len(examples), examples[0].features.shape[0]
    input_ids = torch.full((count, tokens), pad_id)
    attention_mask = torch.zeros((count, tokens), dtype=torch.long)
    labels = torch.full((count, tokens), IGNORE)
    features = torch.zeros((count, bins, frames))
    features_mask = torch.zeros((count, frames), dtype=torch.long)
    for index, (example, sequence) in enumerate(zip(examples, sequences, strict=True)):
        start = tokens - len(sequence) if side == "left" else 0
        end = start + len(sequence)
        input_ids[index, start:end] = sequence
        attention_mask[index, start:end] = 1
        if targets:
            first = start + len(example.prompt)
            labels[index, first:end] = example.target
            if learn_language:
                tag = slice(first - example.tag, first)
                labels[index, tag] = input_ids[index, tag]
        features[index, :, : example.features.shape[1]] = example.features
        features_mask[index, : len(example.features_mask)] = example.features_mask
    inputs = {
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "input_features": features,
        "input_features_mask": features_mask,
    }
    if targets:
        inputs["labels"] = labels
    return Batch(
        [example.row for example in examples], inputs, supervised(labels).tolist(), refused
    )


def supervised(labels: Tensor) -> Tensor:
    """How many positions of each row have loss, shape (rows,)."""
    # The first position has nothing before it that could predict it.
    return (labels[:, 1:] != IGNORE).sum(1)
