"""From a row to the tensors of the model: prompt, audio features, and labels on the transcript.

What the model sees for one row, with `language English<asr_text>` forced as at inference:

    <|im_start|>system\\n<|im_end|>\\n
    <|im_start|>user\\n<|audio_start|>…<|audio_end|><|im_end|>\\n
    <|im_start|>assistant\\nlanguage English<asr_text>      all of this is prompt: no loss
    the transcript<|im_end|>                               the target: loss on each token
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Qwen3ASRProcessor

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.audio import AudioError, load
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipe
from asr_gate.train.augment import Augmentation
from asr_gate.train.data import Refused, Row, audio_tokens, check_length, check_tokens
from asr_gate.train.tokenizer import END_OF_TURN, TRANSCRIPT

IGNORE = -100
"""Label of a position without loss."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row, ready for a batch."""

    row: Row
    prompt: Tensor
    """Shape (prompt tokens,), int64, audio placeholders included."""
    target: Tensor
    """Shape (target tokens,), int64: the transcript and the end token."""
    features: Tensor
    """Log-mel features, shape (mel bins, padded frames), float32."""
    features_mask: Tensor
    """Shape (padded frames,), int64: 1 where there is audio."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows side by side; `inputs` are the model's arguments by name."""

    rows: list[Row]
    inputs: dict[str, Tensor]
    """`input_ids`, `attention_mask` and, with targets, `labels`: shape (rows, tokens);
    `input_features`: (rows, mel bins, frames); `input_features_mask`: (rows, frames)."""
    refused: list[Refused]
    """Rows that turned out unfit when their audio was opened; they are not in the batch."""


class Encoder:
    """Turns rows into examples with the model's own processor; keeps features it has computed."""

    def __init__(self, processor: Qwen3ASRProcessor, settings: recipe.Data) -> None:
        tokenizer = processor.tokenizer
        known = tokenizer.get_vocab()
        for token in (END_OF_TURN, TRANSCRIPT):
            if token not in known:
                raise UserError(f"the tokenizer has no {token}: it is not one of Qwen3-ASR")
        self.processor = processor
        self.settings = settings
        self.sample_rate: int = processor.feature_extractor.sampling_rate
        self.end_id: int = known[END_OF_TURN]
        self.pad_id: int = self.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._kept: dict[str, Example] = {}
        self._room = int(settings.cache_gib * 2**30)
        self._prompt = cache(self._render_prompt)

    def _render_prompt(self, language: str) -> tuple[str, int]:
        """The prompt with one audio placeholder, and its length in tokens without it."""
        messages = [
            {"role": "user", "content": [{"type": "audio"}]},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": f"language {language}{TRANSCRIPT}"}],
            },
        ]
        text = self.processor.apply_chat_template(
            messages, tokenize=False, continue_final_message=True
        )
        ids = self.processor.tokenizer(text, add_special_tokens=False).input_ids
        return text, len(ids) - 1

    def silence(self) -> Batch:
        """A second without a row and without loss, for a process that has none in a step."""
        inputs = self.processor(
            text=[self._prompt("English")[0]],
            audio=[np.zeros(self.sample_rate, dtype=np.float32)],
            sampling_rate=self.sample_rate,
        )
        return Batch([], {**inputs, "labels": torch.full_like(inputs["input_ids"], IGNORE)}, [])

    def target(self, row: Row) -> list[int]:
        """Tokens of the transcript and the end token."""
        text = " ".join(row.utterance.text.split())
        ids = self.processor.tokenizer(text, add_special_tokens=False).input_ids
        return [*ids, self.end_id]

    def count_tokens(self, row: Row) -> int:
        """Tokens of prompt, audio and target, by the row's length; no audio is opened."""
        return self._prompt(row.language)[1] + audio_tokens(row.seconds) + len(self.target(row))

    def _fits(self, row: Row, seconds: Seconds) -> bool:
        """Whether a row of this length would be within the limits."""
        tokens = self.count_tokens(replace(row, seconds=seconds))
        faults = (
            check_length(row.utterance.id, seconds, self.settings),
            check_tokens(row.utterance.id, tokens, self.settings),
        )
        return not any(faults)

    def read(self, row: Row, augmentation: Augmentation | None = None) -> Example | Refused:
        """Decode a row's audio and make its example; refused: unreadable, or past the limits.

        Args:
            row: of the corpus.
            augmentation: how it is changed; then nothing is kept. Where the speed would take the
                row past a limit, it stays as it was.
        """
        kept = self._kept.get(row.utterance.id)
        if kept is not None and augmentation is None:
            return kept
        try:
            recording = load(row.utterance, self.sample_rate)
        except AudioError as error:
            return Refused(row.utterance.id, "unreadable", str(error))
        fault = check_length(row.utterance.id, recording.duration, self.settings)
        if fault is not None:
            return fault
        samples = recording.samples
        if augmentation is not None:
            seconds = augmentation.stretched(len(samples)) / self.sample_rate
            samples = augmentation.change_samples(samples, stretch=self._fits(row, seconds))
        # One row at a time: in a batch, padding would reach into the last frames of shorter rows.
        encoded = self.processor(
            text=[self._prompt(row.language)[0]],
            audio=[samples],
            sampling_rate=self.sample_rate,
        )
        example = Example(
            row=row,
            prompt=encoded["input_ids"][0],
            target=torch.tensor(self.target(row)),
            features=encoded["input_features"][0],
            features_mask=encoded["input_features_mask"][0].long(),
        )
        fault = check_tokens(
            row.utterance.id, len(example.prompt) + len(example.target), self.settings
        )
        if fault is not None:
            return fault
        if augmentation is not None:
            frames = int(example.features_mask.sum())
            return replace(example, features=augmentation.cover_features(example.features, frames))
        size = example.features.nbytes
        if size <= self._room:
            self._room -= size
            self._kept[row.utterance.id] = example
        return example


class Examples(Dataset[Example | Refused]):
    """Training rows as a dataset for torch's DataLoader, by epoch and index."""

    def __init__(self, rows: Sequence[Row], encoder: Encoder, seed: int) -> None:
        self.rows = rows
        self.encoder = encoder
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: tuple[int, int]) -> Example | Refused:
        # The epoch comes with the key: workers live longer than one.
        epoch, index = key
        row, settings = self.rows[index], self.encoder.settings.augment
        if not settings:
            return self.encoder.read(row)
        changes = Augmentation(settings, seed=self.seed, epoch=epoch, id=row.utterance.id)
        return self.encoder.read(row, changes)


def collate(
    items: Sequence[Example | Refused],
    *,
    pad_id: int,
    side: Literal["left", "right"] = "right",
    targets: bool = True,
) -> Batch:
    """Pad examples to one length.

    Labels are built from the lengths of prompt and target, never by comparing ids, so they hold
    for either padding side and where padding and end share an id.

    Args:
        items: examples, and refused rows, which are set aside.
        pad_id: token that fills up.
        side: where it fills; generation needs the left.
        targets: append the targets and build labels; without them the batch is for generation.
    """
    examples = [item for item in items if isinstance(item, Example)]
    refused = [item for item in items if isinstance(item, Refused)]
    if not examples:
        return Batch([], {}, refused)
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
            labels[index, start + len(example.prompt) : end] = example.target
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
    return Batch([example.row for example in examples], inputs, refused)
