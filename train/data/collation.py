"""From examples to a batch: padding, and labels on the transcript alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from asr_gate.train.data.examples import Encoder, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.plan import Refused

IGNORE = -100
"""Label of a position without loss."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded to one length; `inputs` are the model's arguments by name."""

    rows: list[Row]
    inputs: dict[str, Tensor]
    """`input_ids`, `attention_mask` and, with targets, `labels`: shape (rows, tokens);
    `input_features`: (rows, mel bins, frames); `input_features_mask`: (rows, frames)."""
    refused: list[Refused]
    """Rows that turned out to be unusable when their audio was opened; they are not in the
    batch."""


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
    return Batch([example.row for example in examples], inputs, refused)


def silence(encoder: Encoder) -> Batch:
    """One second of silence without loss, for a process that has fewer batches than the others."""
    inputs = encoder.processor(
        text=[encoder.prompt("English").text],
        audio=[np.zeros(encoder.sample_rate, dtype=np.float32)],
        sampling_rate=encoder.sample_rate,
    )
    return Batch([], {**inputs, "labels": torch.full_like(inputs["input_ids"], IGNORE)}, [])
