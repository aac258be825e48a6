"""The registry's package ctc-forced-aligner, in a process of its own.

It aligns every letter, come what may. Its compiled part ends the whole process where a transcript
needs more frames than there are, and reads past its arrays where it needs as many; so the lengths
are compared before, and should it end all the same, only this row goes without an answer. Of its
Python only `forced_align` is used: its word scores are sums, and it drops unknown characters.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_gate.audit.acoustic.interface import Emission, ModelInfo
from asr_gate.audit.align.problem import IMPOSSIBLE
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.helper import Helper, HelperEnded
from asr_gate.corpus.text.letters import Transcript
from asr_gate.corpus.utterance import Seconds

PACKAGE = "ctc-forced-aligner"
PATIENCE: Seconds = 60.0
"""The longest that one row may take; a minute of speech takes a tenth of a second."""
SEPARATOR = -1
"""In place of a word's number."""
_RUN = "from asr_gate.audit.opinion.strict import serve; serve()"


@dataclass(frozen=True)
class StrictScores:
    """Log-probabilities on the strict path, means over the frames of letters; at most 0."""

    mean: float
    """Of the whole transcript."""
    worst: float
    """Of the word with the least."""
    worst_word: str
    unknown: int
    """Characters that the model does not know: they cost nothing, and count for nothing."""


class NoAnswer(Exception):
    """The aligner says nothing of a row; the message says why."""


def require_package() -> None:
    """Refuse to begin without the package.

    Raises:
        UserError: it is not installed.
    """
    if find_spec(PACKAGE.replace("-", "_")) is None:
        raise UserError(
            f"--second-opinion: {PACKAGE} is not installed; pip install 'asr-gate[second-opinion]' "
            "builds it, with a C++ compiler (apt-get install g++)"
        )


class StrictAligner:
    """Scores one transcript after the other."""

    def __init__(self, info: ModelInfo) -> None:
        """Nothing is started yet.

        Args:
            info: of the model that the emissions come from.
        """
        self._info = info
        self._column = {token: number for number, token in enumerate(info.tokens)}
        self._helper = Helper("the aligner", _RUN, PATIENCE)

    def scores(self, emission: Emission, transcript: Transcript) -> StrictScores:
        """How well a transcript fits, word by word.

        Args:
            emission: log-probabilities, shape (frames, tokens).
            transcript: as the model's letters.

        Raises:
            NoAnswer: the transcript needs too many frames or has no letter that the model knows,
                or the aligner failed.
        """
        star = emission.shape[1]
        tokens, owners = self._flat(transcript, star)
        if not any(
            owner is not None and t != star for t, owner in zip(tokens, owners, strict=True)
        ):
            raise NoAnswer("no letter of it is in the model's alphabet")
        needed = len(tokens) + sum(a == b for a, b in pairwise(tokens))
        if needed >= len(emission):
            raise NoAnswer(f"it needs over {needed} frames, and there are {len(emission)}")
        # What the model does not know, a wildcard takes, at no cost: the package's own way.
        free = np.zeros((len(emission), 1), np.float32)
        starred = np.concatenate([np.maximum(emission, IMPOSSIBLE), free], axis=1)
        path = self._path(starred.astype(np.float32, copy=False), tokens)
        begins = (path != self._info.blank) & (np.diff(path, prepend=-1) != 0)
        number = np.cumsum(begins) - 1
        if number[-1] != len(tokens) - 1:
            raise NoAnswer("its path is not that of the transcript")
        given = starred[np.arange(len(path)), path]
        owner = np.array([-1 if one is None else one for one in owners])[np.maximum(number, 0)]
        letters = (path != self._info.blank) & (path != star) & (owner >= 0)
        words = {
            int(one): float(given[letters & (owner == one)].mean()) for one in set(owner[letters])
        }
        worst = min(words, key=lambda one: (words[one], one))
        return StrictScores(
            mean=float(given[letters].mean()),
            worst=words[worst],
            worst_word=transcript.words[worst].text,
            unknown=tokens.count(star),
        )

    def stop(self) -> None:
        """End the process."""
        self._helper.stop()

    def _flat(self, transcript: Transcript, star: int) -> tuple[list[int], list[int]]:
        """Columns of the whole transcript, words apart by the separator; of which word each is."""
        tokens: list[int] = []
        owners: list[int] = []
        for number, word in enumerate(transcript.words):
            if number and self._info.space is not None:
                tokens.append(self._info.space)
                owners.append(SEPARATOR)
            tokens += [star if c is None else self._column[c] for c in word.letters]
            owners += [number] * len(word.letters)
        return tokens, owners

    def _path(self, starred: Emission, tokens: Sequence[int]) -> NDArray[np.int64]:
        request = {"shape": starred.shape, "tokens": tokens, "blank": self._info.blank}
        try:
            found, content = self._helper.ask(request, starred.tobytes())
        except HelperEnded as error:
            raise NoAnswer(str(error)) from error
        if "error" in found:
            raise NoAnswer(found["error"])
        path = np.frombuffer(content, np.int64)
        if len(path) != len(starred) or path.min() < 0 or path.max() >= starred.shape[1]:
            raise NoAnswer("its path is not that of the transcript")
        return path


def serve() -> None:
    """Answer requests on standard input until it is closed; the body of the process."""
    from ctc_forced_aligner import forced_align

    # A scheduler may ask every process to stop; no row goes without an answer for that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := questions.readline():
        asked = json.loads(line)
        content = questions.read(4 * math.prod(asked["shape"]))
        emission = np.frombuffer(content, np.float32).reshape(asked["shape"])
        targets = np.array([asked["tokens"]], np.int64)
        told: dict[str, object]
        path = b""
        try:
            found, _ = forced_align(emission[None], targets, blank=asked["blank"])
            path = np.asarray(found[0], np.int64).tobytes()
            told = {"bytes": len(path)}
        except (ValueError, AssertionError) as error:
            told = {"error": str(error)}
        answers.write(json.dumps(told).encode() + b"\n" + path)
        answers.flush()
