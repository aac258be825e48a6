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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Qwen3ASRProcessor

from asr_gate.corpus.audited import AlteredAudio, AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.audio import AudioError, load_samples
from asr_gate.corpus.utterance import Seconds
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.batches import audio_tokens
from asr_gate.train.data.rows import Row, check_length, check_tokens
from asr_gate.train.data.tokenizer import END_OF_TURN, TRANSCRIPT
from asr_gate.train.plan import ALTERED, Refused


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
class Example:
    """One row, ready for a batch."""

    row: Row
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


class Encoder:
    """Turns rows into examples with the model's own processor; keeps features in memory."""

    def __init__(
        self,
        processor: Qwen3ASRProcessor,
        settings: recipes.Data,
        audited: AuditedAudio | None = None,
    ) -> None:
        """Prepare.

        Args:
            processor: the model's own.
            settings: of the recipe.
            audited: what the audio must be; None: anything, as in an evaluation.

        Raises:
            UserError: the tokenizer is not Qwen3-ASR's.
        """
        tokenizer = processor.tokenizer
        known = tokenizer.get_vocab()
        for token in (END_OF_TURN, TRANSCRIPT):
            if token not in known:
                raise UserError(f"the tokenizer has no {token}: it is not Qwen3-ASR's tokenizer")
        self.processor = processor
        self.settings = settings
        self.audited = audited
        self.sample_rate: int = processor.feature_extractor.sampling_rate
        self.end_id: int = known[END_OF_TURN]
        self.pad_id: int = self.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._kept: dict[str, Example] = {}
        self._room = int(settings.cache_gib * 2**30)
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

    def _fits(self, row: Row, seconds: Seconds) -> bool:
        """Whether a row of this length would be within the limits."""
        tokens = self.count_tokens(replace(row, seconds=seconds))
        faults = (
            check_length(row.utterance.id, seconds, self.settings),
            check_tokens(row.utterance.id, tokens, self.settings),
        )
        return not any(faults)

    def encode(self, row: Row, samples: NDArray[np.float32]) -> Example:
        """The example of a row whose audio is decoded; `samples` have the model's sample rate."""
        prompt = self.prompt(row.language)
        # One row at a time: in a batch, padding would change the last frames of shorter rows.
        encoded = self.processor(
            text=[prompt.text],
            audio=[samples],
            sampling_rate=self.sample_rate,
        )
        return Example(
            row=row,
            prompt=encoded["input_ids"][0],
            tag=prompt.tag,
            target=torch.tensor(self.target(row)),
            features=encoded["input_features"][0],
            features_mask=encoded["input_features_mask"][0].long(),
        )

    def read(self, row: Row, augmentation: Augmentation | None = None) -> Example | Refused:
        """Decode a row's audio and make its example; refused: unreadable, or outside the limits.

        Args:
            row: one row of the corpus.
            augmentation: how the row is changed; then its features are not kept. If the speed would
                take the row past a limit, the speed stays as it was.
        """
        kept = self._kept.get(row.utterance.id)
        if kept is not None and augmentation is None:
            return kept
        try:
            samples = load_samples(row.utterance, self.sample_rate, self.audited)
        except AlteredAudio as error:
            return Refused(row.utterance.id, ALTERED, str(error))
        except AudioError as error:
            return Refused(row.utterance.id, "unreadable", str(error))
        fault = check_length(row.utterance.id, len(samples) / self.sample_rate, self.settings)
        if fault is not None:
            return fault
        if augmentation is not None:
            seconds = augmentation.stretched(len(samples)) / self.sample_rate
            samples = augmentation.change_samples(samples, stretch=self._fits(row, seconds))
        example = self.encode(row, samples)
        fault = check_tokens(
            row.utterance.id, len(example.prompt) + len(example.target), self.settings
        )
        if fault is not None:
            return fault
        if augmentation is not None:
            frames = int(example.features_mask.sum())
            return replace(example, features=augmentation.mask_features(example.features, frames))
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
        # The epoch is part of the key, because workers live longer than one epoch.
        epoch, index = key
        row, settings = self.rows[index], self.encoder.settings.augment
        if not settings:
            return self.encoder.read(row)
        changes = Augmentation(settings, seed=self.seed, epoch=epoch, id=row.utterance.id)
        return self.encoder.read(row, changes)
