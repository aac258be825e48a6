"""From a row to the tensors of the model: a window of audio, prompt and transcript.

What the decoder reads for one row, and what it is to say at each position:

    <|startoftranscript|> <|en|> <|transcribe|> <|notimestamps|>  Red  green
                                                ------------------------------------------
                          <|en|>                           Red  green  <|endoftext|>

Loss is on the transcript and its end token, with `data.learn_language` also on the language. An
English-only model reads neither language nor task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperProcessor
from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

from asr_gate.corpus.audited import AuditedAudio
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.text.language import closest_code
from asr_gate.train import recipes
from asr_gate.train.data.augmentation import Augmentation
from asr_gate.train.data.examples import Batch, Encoder, Example
from asr_gate.train.data.rows import Row
from asr_gate.train.families.interface import Source
from asr_gate.train.families.whisper.checkpoint import (
    END,
    NO_TIMESTAMPS,
    START,
    TRANSCRIBE,
    Description,
    window_seconds,
)
from asr_gate.train.plan import Refused

IGNORE = -100
"""Label of a position without loss."""

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages whose transcripts do not begin with a space; as the words of the others do, theirs do
in the text that the released models have learnt from."""


@dataclass(frozen=True, slots=True)
class WindowExample(Example):
    """One row, ready for a batch."""

    prompt: Tensor
    """Shape (prompt tokens,), int64. If nobody has named the language: the first token alone."""
    target: Tensor
    """Shape (transcript tokens + 1,), int64; the last one is the end token."""
    features: Tensor
    """Log-mel features of the window, shape (mel bins, frames), float32."""
    frames: int
    """How many of them are not padding."""
    window: int
    """Encoder positions."""

    @property
    def tokens(self) -> int:
        """Encoder positions, prompt and target."""
        return self.window + len(self.prompt) + len(self.target)

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(one.nbytes for one in (self.prompt, self.target, self.features))

    def augmented(self, augmentation: Augmentation) -> Self:
        """With SpecAugment, on what is not padding."""
        return replace(self, features=augmentation.mask_features(self.features, self.frames))


class WindowEncoder(Encoder):
    """Turns rows into examples with the model's own processor."""

    processor: WhisperProcessor

    def __init__(
        self, source: Source, settings: recipes.Data, audited: AuditedAudio | None = None
    ) -> None:
        """Prepare; see `Encoder`.

        Raises:
            UserError: an English-only model is to learn to say the language.
        """
        super().__init__(source.processor, settings, audited)
        description: Description = source.config
        generation = description.generation
        self.multilingual: bool = generation.is_multilingual
        if settings.learn_language and not self.multilingual:
            raise UserError(
                f"data.learn_language=true: {source.title} is English-only and has no word for a "
                "language; set it to false, or name a multilingual checkpoint"
            )
        self.sample_rate = self.processor.feature_extractor.sampling_rate
        self.window = window_seconds(self.processor)
        self.positions = description.window
        self.most_decoder_tokens = description.most_decoder_tokens
        known = self.processor.tokenizer.get_vocab()
        self.start_id: int = known[START]
        self.end_id: int = known[END]
        self.task: list[int] = [known[TRANSCRIBE]] if self.multilingual else []
        self.no_timestamps: int = known[NO_TIMESTAMPS]
        self.languages: dict[str, int] = (
            {name.strip("<|>"): id for name, id in generation.lang_to_id.items()}
            if self.multilingual
            else {}
        )
        """Ids of the tokens of languages, by their codes in Whisper's tokenizer."""

    def code(self, language: str) -> str | None:
        """The code of a language in Whisper's tokenizer; None: the model does not know it.

        Args:
            language: English name.
        """
        code = TO_LANGUAGE_CODE.get(language.lower())
        if code is None:  # Filipino is Tagalog
            code = closest_code(language, frozenset(LANGUAGES))
        return code if code in (self.languages or {"en"}) else None

    def prompt(self, language: str) -> list[int]:
        """What the decoder reads before a transcript.

        Args:
            language: English name; empty: it is not known, and the prompt of a multilingual model
                ends where it would stand.

        Raises:
            UserError: the model does not know the language.
        """
        if not language and self.multilingual:
            return [self.start_id]
        code = self.code(language) if language else "en"
        if code is None:
            kind = "knows no such language" if self.multilingual else "is English-only"
            raise UserError(f"{language}: this Whisper {kind}")
        return self.prompt_of(self.languages.get(code))

    def prompt_of(self, language: int | None) -> list[int]:
        """The whole prompt, with the id of a language's token; None: an English-only model."""
        spoken = [] if language is None else [language]
        return [self.start_id, *spoken, *self.task, self.no_timestamps]

    def target(self, row: Row) -> list[int]:
        """Tokens of the transcript and the end token."""
        text = " ".join(row.utterance.text.split())
        if text and self.code(row.language) not in UNSPACED:
            text = f" {text}"
        # A transcript may hold `<|endoftext|>`; it is text there.
        ids = self.processor.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return [*ids.input_ids, self.end_id]

    def count_tokens(self, row: Row) -> int:
        """Encoder positions of a window, prompt and target; no audio is opened."""
        return self.positions + self._decoder_tokens(row)

    def _decoder_tokens(self, row: Row) -> int:
        return len(self.prompt(row.language)) + len(self.target(row))

    def check(self, row: Row) -> Refused | None:
        """Whether a row fits the window and the decoder, and the model knows its language."""
        id = row.utterance.id
        if round(row.seconds * self.sample_rate) > self.window * self.sample_rate:
            reason = f"{row.seconds:.2f} s, this Whisper hears {self.window:g} s at once"
            return Refused(id, "longer_than_window", reason)
        try:
            tokens = self._decoder_tokens(row)
        except UserError as error:
            return Refused(id, "unknown_language", str(error))
        if tokens > self.most_decoder_tokens:
            reason = f"{tokens} tokens, this Whisper writes {self.most_decoder_tokens}"
            return Refused(id, "too_long_a_text", f"{reason}, prompt and end token included")
        return None

    def encode(self, row: Row, samples: NDArray[np.float32]) -> WindowExample:
        """The example of a row whose audio is decoded."""
        extractor = self.processor.feature_extractor
        made = extractor(samples, sampling_rate=self.sample_rate, return_tensors="pt")
        return WindowExample(
            row=row,
            prompt=torch.tensor(self.prompt(row.language)),
            target=torch.tensor(self.target(row)),
            features=made["input_features"][0],
            frames=min(len(samples) // extractor.hop_length, extractor.nb_max_frames),
            window=self.positions,
        )

    def batch(self, items: Sequence[Example | Refused]) -> Batch:
        """A batch to train on, padded on the right."""
        return self._collate(items, learn_language=self.settings.learn_language)

    def evaluation_batch(self, items: Sequence[Example | Refused]) -> Batch:
        """The same without loss on the language."""
        return self._collate(items, learn_language=False)

    def silence(self) -> Batch:
        """A window of silence without loss."""
        extractor = self.processor.feature_extractor
        prompt = torch.tensor([self.prompt_of(next(iter(self.languages.values()), None))])
        inputs = {
            "input_features": torch.zeros(1, extractor.feature_size, extractor.nb_max_frames),
            "decoder_input_ids": prompt,
            "labels": torch.full_like(prompt, IGNORE),
        }
        return Batch([], inputs, [], [])

    def _collate(self, items: Sequence[Example | Refused], *, learn_language: bool) -> Batch:
        examples = [item for item in items if isinstance(item, WindowExample)]
        refused = [item for item in items if isinstance(item, Refused)]
        if not examples:
            return Batch([], {}, [], refused)
        inputs = collate(examples, pad_id=self.end_id, learn_language=learn_language)
        targets = (inputs["labels"] != IGNORE).sum(1).tolist()
        return Batch([example.row for example in examples], inputs, targets, refused)


def collate(
    examples: Sequence[WindowExample], *, pad_id: int, learn_language: bool = False
) -> dict[str, Tensor]:
    """Pad examples to one length.

    Labels are built from the lengths of prompt and target, never by comparing ids, so they are
    right although padding and end token share an id.

    Args:
        examples: at least one.
        pad_id: padding token.
        learn_language: put labels on the languages, too.

    Returns:
        `decoder_input_ids` and `labels`, what is read and said at each position: shape (rows,
        tokens); `input_features`: (rows, mel bins, frames).
    """
    read = [torch.cat([example.prompt, example.target[:-1]]) for example in examples]
    shape = len(examples), max(map(len, read))
    ids, labels = torch.full(shape, pad_id), torch.full(shape, IGNORE)
    for index, (example, tokens) in enumerate(zip(examples, read, strict=True)):
        ids[index, : len(tokens)] = tokens
        labels[index, len(example.prompt) - 1 : len(tokens)] = example.target
        if learn_language:
            labels[index, 0] = example.prompt[1]
    features = torch.stack([example.features for example in examples])
    return {"input_features": features, "decoder_input_ids": ids, "labels": labels}
