"""The section `data` of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.recipes.section import OrAuto, Section

HoldOutBy = Literal["auto", "speaker", "recording", "row"]
"""What is held out as a whole; `auto`: the first of these that there are enough of."""

EvaluationPart = Literal["all", "choose", "confirm"]


class SpecAugment(Section):
    """SpecAugment: bands of the features are masked (Park et al. 2019)."""

    frequency_masks: int = Field(default=2, ge=0, le=100)
    frequency_bins: int = Field(default=27, ge=1)
    """Each mask covers fewer mel bins than this."""
    time_masks: int = Field(default=2, ge=0, le=100)
    time_frames: int = Field(default=40, ge=1)
    """Each mask covers fewer frames (of 10 ms) than this …"""
    time_share: float = Field(default=0.1, gt=0, le=1)
    """… and at most this share of the row."""


class Augment(Section):
    """Random changes of training rows, drawn anew in each epoch; never used in evaluation."""

    speed: tuple[float, float] | None = None
    """Lowest and highest speed factor, drawn in steps of 0.01; the pitch changes with it."""
    noise_db: tuple[float, float] | None = None
    """Lowest and highest signal-to-noise ratio of added white noise, in dB."""
    spec_augment: SpecAugment | None = None

    @field_validator("speed", "noise_db")
    @classmethod
    def _ordered(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and pair[0] > pair[1]:
            raise ValueError(f"{pair[0]:g} is above {pair[1]:g}; write the lower one first")
        return pair

    @field_validator("speed")
    @classmethod
    def _speed_in_range(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not (pair[0] >= 0.5 and pair[1] <= 2):
            raise ValueError("speed factors must be from 0.5 to 2")
        return pair

    @field_validator("noise_db")
    @classmethod
    def _noise_in_range(cls, pair: tuple[float, float] | None) -> tuple[float, float] | None:
        if pair is not None and not (pair[0] >= -20 and pair[1] <= 100):
            raise ValueError("signal-to-noise ratios must be from -20 to 100 dB")
        return pair

    @property
    def slowest(self) -> float:
        """The lowest speed factor, at most 1: by it rows grow longer than they are planned."""
        return min(1.0, self.speed[0]) if self.speed else 1.0

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return any((self.speed, self.noise_db, self.spec_augment))


class Data(Section):
    """Which rows train, which evaluate, and how they are batched."""

    language: str | None = None
    """Language of the rows whose manifest names none: `English`, `he`."""
    learn_language: bool = False
    """Put loss on the language tag (`language Hebrew<asr_text>`), too: the model then recognises
    the language where none is given."""
    split: str | None = None
    """Split to train on; None: `train`, if the corpus has splits."""
    evaluation_split: str | None = None
    """Split to evaluate on; None: `dev` or `validation`, or else rows that are held out."""
    test_split: str | None = None
    """Split to test the final model on; None: `test`, if there is one."""
    validation: list[str] = Field(default_factory=list)
    """Manifests whose rows evaluate, in place of a split or of held-out rows; they need no
    audit."""
    test: list[str] = Field(default_factory=list)
    """Manifests whose rows test the final model, in place of a split."""
    min_seconds: Seconds = Field(default=0.1, ge=0)
    max_seconds: Seconds = Field(default=30.0, gt=0)
    """Longer rows are refused and listed, never cut."""
    max_tokens: int = Field(default=1024, ge=32)
    """Most tokens of prompt, audio and transcript together; rows with more are refused."""
    evaluation_share: float = Field(default=0.05, gt=0, lt=1)
    """Share of the rows held out where there is nothing else to evaluate on."""
    hold_out_by: HoldOutBy = "auto"
    """Held out are whole speakers, whole recordings or single rows, by a hash of their names."""
    evaluation_limit: int = Field(default=500, ge=1)
    """Largest number of rows to evaluate on; each domain has its share, by a hash of the ids."""
    evaluation_part: EvaluationPart = "all"
    """Of the rows to evaluate on, for the trials of a sweep. With `choose`, the test rows, or where
    there are none half of those that would evaluate, neither train nor evaluate nor test; with
    `confirm`, these evaluate."""
    excluded_weight: float = Field(default=0.0, ge=0, le=1)
    """Weight in the loss of the rows that the audit excluded; other rows have 1. 0: they do not
    train. They are never held out."""
    batch_seconds: Annotated[Seconds, Field(gt=0), OrAuto()] = 60.0
    """Padded audio in one batch: its longest row times its number of rows. `auto`: what fits, and
    divides `optimizer.step_seconds`."""
    batch_tokens: Annotated[int, Field(ge=1), OrAuto()] = 4096
    """Padded tokens in one batch, of prompt, audio and transcript: the row with most tokens times
    the number of rows. It bounds batches of many short rows. `auto`: what fits."""
    workers: int = Field(default=0, ge=0)
    """Processes that decode audio and compute features; 0: the training process does it."""
    cache_gib: Annotated[float, Field(ge=0), OrAuto()] = 1.0
    """Memory for computed features, in GiB, for each such process. `auto`: 0 on a GPU."""
    audio_cache_gib: Annotated[float, Field(ge=0), OrAuto()] = 8.0
    """Disk space for outputs of frozen audio towers, in GiB, for all runs together; 0: no cache.
    `auto`: 0 on a GPU."""
    augment: Augment = Field(default_factory=Augment)

    @model_validator(mode="after")
    def _one_set_each(self) -> Self:
        if self.validation and self.evaluation_split:
            raise ValueError("set one of `validation` and `evaluation_split`, not both")
        if self.test and self.test_split:
            raise ValueError("set one of `test` and `test_split`, not both")
        return self
