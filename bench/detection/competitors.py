"""Other people's aligners on the same emissions and the same transcripts.

Each gives one score a transcript, higher meaning more doubtful, and the words' times. They are set
up as favourably as we know how: the model's own word separator stands between words throughout.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from types import ModuleType

import numpy as np
import torch
import torchaudio.functional as functional

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Span


class Competitor(ABC):
    """One aligner and one way to score with it."""

    package: str
    """As its registry has it."""
    score: str
    setting: str = ""
    """What tells its word times from those of a sibling."""

    @property
    def title(self) -> str:
        """Package and version."""
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return self.package

    @property
    def absent(self) -> bool:
        """Whether its package cannot be imported."""
        return _package(self.package) is None

    @abstractmethod
    def doubt(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> float:
        """How doubtful it finds a transcript that `fits`."""

    @abstractmethod
    def spans(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> list[Span]:
        """Start and end of each word."""


def fits(emission: Emission, transcript: Transcript, info: ModelInfo) -> bool:
    """Whether there are more frames than the transcript needs.

    With fewer ctc-forced-aligner ends the process; with just as many it reads past its arrays.
    """
    tokens = _flat(transcript, info)
    repeats = sum(a == b for a, b in pairwise(tokens))
    return 0 < len(tokens) + repeats < len(emission)


class TorchaudioWord(Competitor):
    """The worst word's mean log-probability on the strict path."""

    package = "torchaudio"
    score = "worst word"

    def doubt(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> float:
        """Of the worst word."""
        words = self._words(emission, transcript, info)
        return max(
            -float(sum(s.score * len(s) for s in word) / sum(len(s) for s in word))
            for word in words
        )

    def spans(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> list[Span]:
        """From the first letter's first frame to the last letter's last one."""
        words = self._words(emission, transcript, info)
        return [(word[0].start * info.stride, word[-1].end * info.stride) for word in words]

    def _words(
        self, emission: Emission, transcript: Transcript, info: ModelInfo
    ) -> list[list[functional.TokenSpan]]:
        path, scores = strict_path(emission, transcript, info)
        found = iter(functional.merge_tokens(path, scores, blank=info.blank))
        words = []
        for number, word in enumerate(_words(transcript, info)):
            if number and info.space is not None:
                next(found)
            words.append([next(found) for _ in word])
        return words


class TorchaudioFree(TorchaudioWord):
    """What the strict path costs over the model's best token at every frame, a letter."""

    score = "free − forced"

    def doubt(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> float:
        """Nats a letter."""
        _, scores = strict_path(emission, transcript, info)
        return float(emission.max(axis=1).sum() - scores.sum()) / transcript.letters


class CtcForcedAligner(Competitor):
    """The registry's package: its kernel, its word spans, its word scores, which are sums."""

    package = "ctc-forced-aligner"
    score = "worst word"

    def doubt(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> float:
        """Of the word with the least score."""
        return max(-word["score"] for word in self._align(emission, transcript, info))

    def spans(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> list[Span]:
        """As its subtitles have them."""
        return [(w["start"], w["end"]) for w in self._align(emission, transcript, info)]

    def _align(
        self, emission: Emission, transcript: Transcript, info: ModelInfo
    ) -> list[dict[str, float]]:
        package = _package(self.package)
        assert package is not None and fits(emission, transcript, info)
        # Its word lists hold letters apart by spaces; what it does not report it calls <star>.
        names = {c: "|" if c == info.space else token for c, token in enumerate(info.tokens)}
        letters: list[str] = []
        texts: list[str] = []
        for number, word in enumerate(_words(transcript, info)):
            if number and info.space is not None:
                letters.append("|")
                texts.append("<star>")
            letters.append(" ".join(names[c] for c in word))
            texts.append(transcript.words[number].text)
        path, scores = package.forced_align(
            emission[None],
            np.array([_flat(transcript, info)], np.int64),
            blank=info.blank,
        )
        segments = package.merge_repeats(path[0].tolist(), names)
        spans = package.get_spans(letters, segments, names[info.blank])
        found: list[dict[str, float]] = package.postprocess_results(
            texts, spans, info.stride * 1000, scores
        )
        return found


class CtcSegmentation(Competitor):
    """Word confidences, each word a segment of its own; the model's separator between segments."""

    package = "ctc-segmentation"
    score = "worst word"
    own_separator = False
    """Whether the package's separator, a blank, stands after the model's one."""

    def doubt(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> float:
        """Of the word with the least confidence."""
        return max(-confidence for _, _, confidence in self._align(emission, transcript, info))

    def spans(self, emission: Emission, transcript: Transcript, info: ModelInfo) -> list[Span]:
        """As it determines segments."""
        return [(start, end) for start, end, _ in self._align(emission, transcript, info)]

    def _align(
        self, emission: Emission, transcript: Transcript, info: ModelInfo
    ) -> list[tuple[float, float, float]]:
        package = _package(self.package)
        assert package is not None
        config = package.CtcSegmentationParameters(
            char_list=list(info.tokens), blank=info.blank, index_duration=info.stride
        )
        separator = info.blank if info.space is None else info.space
        words = _words(transcript, info)
        if self.own_separator:
            ends = [[separator]] * (len(words) - 1) + [[]]
            parts = [np.array(word + end) for word, end in zip(words, ends, strict=True)]
            truth, begins = package.prepare_token_list(config, parts)
        else:
            # What `prepare_token_list` makes, with the model's separator for a blank.
            tokens, begins = [-1], []
            for number, word in enumerate(words):
                begins.append(len(tokens))
                tokens += [separator if number else info.blank, *word]
            begins.append(len(tokens))
            truth = np.array([*tokens, info.blank], np.int64)[:, None]
        timings, probabilities, _ = package.ctc_segmentation(config, emission, truth)
        found: list[tuple[float, float, float]] = package.determine_utterance_segments(
            config, begins, probabilities, timings, words
        )
        return found


class CtcSegmentationBlank(CtcSegmentation):
    """The same with the package's own separator as well: better times, worse confidences."""

    setting = ", its own separator besides"
    own_separator = True


COMPETITORS: tuple[Competitor, ...] = (
    TorchaudioWord(),
    TorchaudioFree(),
    CtcForcedAligner(),
    CtcSegmentation(),
)
TIMED: tuple[Competitor, ...] = (
    TorchaudioWord(),
    CtcForcedAligner(),
    CtcSegmentation(),
    CtcSegmentationBlank(),
)
"""Those with word times."""


def strict_path(
    emission: Emission, transcript: Transcript, info: ModelInfo
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token and log-probability at every frame, by torchaudio."""
    targets = torch.tensor([_flat(transcript, info)], dtype=torch.int32)
    path, scores = functional.forced_align(
        torch.from_numpy(emission)[None], targets, blank=info.blank
    )
    return path[0], scores[0]


def _words(transcript: Transcript, info: ModelInfo) -> list[list[int]]:
    """Columns of each word's letters."""
    column = {token: number for number, token in enumerate(info.tokens)}
    return [[column[c] for c in word.letters if c is not None] for word in transcript.words]


def _flat(transcript: Transcript, info: ModelInfo) -> list[int]:
    """Columns of the whole transcript, words apart by the model's separator."""
    flat: list[int] = []
    for number, word in enumerate(_words(transcript, info)):
        if number and info.space is not None:
            flat.append(info.space)
        flat += word
    return flat


def _package(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name.replace("-", "_"))
    # A compiled part that cannot be found is a FileNotFoundError in one of them.
    except (ImportError, OSError):
        return None
