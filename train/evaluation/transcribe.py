"""Writes down what a checkpoint hears in audio files, for `asr transcribe`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from asr_gate.corpus.speech.audio import AudioError, load
from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.train import recipes
from asr_gate.train.data.languages import language_name
from asr_gate.train.data.rows import Row
from asr_gate.train.devices import choose_device
from asr_gate.train.distributed import Ranks, choose_threads
from asr_gate.train.evaluation.segments import speech_segments

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from asr_gate.train.data.examples import Encoder
    from asr_gate.train.families.interface import Family

LONGEST: Seconds = 30.0
"""Of one segment: recipes train on rows of up to 30 seconds."""
TOGETHER: Seconds = 600.0
"""Audio that is read before it is transcribed, so that short files fill a batch."""
TOKENS_PER_SECOND = 16.0
"""More than anybody says: five words per second of three tokens each."""
FEWEST_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its transcript."""

    start: Seconds
    end: Seconds
    text: str
    language: str | None
    """As it was given, or else as the model recognised it; None: the model did not say."""
    finished: bool
    """Whether the model ended the transcript by itself."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in one file."""

    audio: str
    duration: Seconds
    segments: list[Segment]

    @property
    def text(self) -> str:
        """The whole text."""
        return " ".join(one.text for one in self.segments if one.text)


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be transcribed, and why."""

    audio: str
    reason: str


def transcribe(
    checkpoint: str,
    audio: Sequence[str | Path],
    *,
    language: str | None = None,
    longest: Seconds = LONGEST,
    batch_seconds: Seconds = 60.0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    advance: Callable[[int, Seconds], None] = lambda files, seconds: None,
) -> Iterator[Transcript | Unread]:
    """Transcribe audio files, in order, as they are done; long ones in segments, cut at pauses.

    Args:
        checkpoint: folder or hub id.
        audio: files of up to two hours.
        language: code or English name of the language that is spoken; None: the model recognises
            it, if it has learnt to.
        longest: longest segment; none is longer than what the model hears at once.
        batch_seconds: padded audio in one batch.
        device: where the model runs.
        advance: told how many more files, and seconds of speech, are done.

    Raises:
        UserError: no such checkpoint, device or language; a batch does not fit into memory.
    """
    named = "" if language is None else language_name(language)
    from transformers.utils import logging as transformers_logging

    from asr_gate.train.evaluation.reading import evaluation_batches
    from asr_gate.train.families.registry import family_of
    from asr_gate.train.model.parameter_groups import count_parameters

    transformers_logging.disable_progress_bar()
    chosen = choose_device(device, Ranks(), "--device ")
    family = family_of(checkpoint)
    source = family.open(checkpoint)
    longest = min(longest, family.longest(source) or longest)
    encoder = family.encoder(source, recipes.Data(cache_gib=0))
    model = family.load(checkpoint).to(chosen).eval()
    choose_threads(None, chosen, count_parameters(model))
    for files in _groups(audio, encoder, named, longest):
        rows = [row for file in files if isinstance(file, _File) for row in file.rows]
        heard: dict[str, Segment] = {}
        for indices in evaluation_batches([row for row, _ in rows], batch_seconds):
            taken = [rows[index] for index in indices]
            for segment, (row, _) in zip(
                _segments(family, model, encoder, taken, chosen), taken, strict=True
            ):
                heard[row.utterance.id] = segment
            advance(0, sum(row.seconds for row, _ in taken))
        for file in files:
            advance(1, 0.0)
            if isinstance(file, Unread):
                yield file
            else:
                segments = [heard[row.utterance.id] for row, _ in file.rows]
                yield Transcript(file.audio, file.duration, segments)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was read."""

    audio: str
    duration: Seconds
    rows: list[tuple[Row, NDArray[np.float32]]]
    """Its segments, and the samples of each."""


def _groups(
    audio: Sequence[str | Path], encoder: Encoder, language: str, longest: Seconds
) -> Iterator[list[_File | Unread]]:
    """Files in order, in groups that are transcribed together."""
    group: list[_File | Unread] = []
    seconds = 0.0
    for number, path in enumerate(audio):
        file = _read(number, Path(path), encoder, language, longest)
        group.append(file)
        seconds += file.duration if isinstance(file, _File) else 0.0
        if seconds >= TOGETHER:
            yield group
            group, seconds = [], 0.0
    if group:
        yield group


def _read(
    number: int, path: Path, encoder: Encoder, language: str, longest: Seconds
) -> _File | Unread:
    """Decode a file and cut it into segments."""
    sample_rate = encoder.sample_rate
    name = str(path)
    whole = Utterance(id=name, text="", audio=path, audio_name=name, origin=name)
    try:
        recording = load(whole, sample_rate)
    except AudioError as error:
        return Unread(name, str(error))
    segments = speech_segments(recording.samples, sample_rate, longest)
    if segments and recording.duration <= longest:
        segments = [(0.0, recording.duration)]  # as in training: nothing is cut to fit
    rows = []
    for start, end in segments:
        first, last = round(start * sample_rate), round(end * sample_rate)
        utterance = replace(
            whole, id=f"{number}:{first}", offset=start, duration=(last - first) / sample_rate
        )
        row = Row(utterance, (last - first) / sample_rate, language, window=encoder.window)
        rows.append((row, recording.samples[first:last]))
    return _File(name, recording.duration, rows)


def _segments(
    family: Family,
    model: nn.Module,
    encoder: Encoder,
    rows: Sequence[tuple[Row, NDArray[np.float32]]],
    device: torch.device,
) -> list[Segment]:
    """Transcribe one batch of rows with their samples, by greedy decoding."""
    import torch

    from asr_gate.train.model.arithmetic import compute_type
    from asr_gate.train.model.memory import memory_explained, sized

    alone = [row for row, _ in rows]
    longest = max(row.seconds for row in alone)
    limit = FEWEST_TOKENS + math.ceil(TOKENS_PER_SECOND * longest)
    explained = memory_explained(lambda: f"on {sized(alone)}: lower --batch-seconds")
    with torch.inference_mode(), compute_type(device), explained:
        examples = [encoder.encode(row, samples) for row, samples in rows]
        heard = family.transcribe(model, encoder, examples, device, limit=limit)
    return [
        Segment(
            start=round(row.utterance.offset, 3),
            end=round(row.utterance.offset + row.seconds, 3),
            text=one.text,
            language=row.language or one.language,
            finished=one.finished,
        )
        for row, one in zip(alone, heard, strict=True)
    ]
