"""Which rows train, which evaluate, which are refused, and in which batches they come.

No audio is decoded here: lengths come from the manifest or the file's header.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.train import recipe
from asr_gate.train.languages import language_name
from asr_gate.train.scoring import normalise

FRAMES_PER_SECOND = 100
"""Mel frames a second of Qwen3-ASR."""


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance that takes part."""

    utterance: Utterance
    seconds: Seconds
    language: str
    """As the prompt names it: `English`."""
    weight: float = 1.0
    """Of each of its tokens in the loss."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One utterance that a rule keeps out of training and evaluation."""

    id: str
    rule: str
    """`too_long`, `too_short`, `too_many_tokens`, `no_words` or `unreadable`."""
    reason: str


@dataclass(frozen=True)
class Selection:
    """The audited corpus, divided; every row of it is in exactly one of the lists."""

    training: list[Row]
    evaluation: list[Row]
    dropped: list[str]
    """Ids that the audit condemned and that are left out."""
    refused: list[Refused]


def select(
    utterances: Sequence[Utterance], condemned: Collection[str], settings: recipe.Data
) -> Selection:
    """Divide a corpus into rows that train, evaluate, are dropped, or are refused by rule.

    Condemned rows train with `condemned_weight` if there is one, and are never held out, so that
    the weight changes nothing in the rows that evaluate.

    Raises:
        UserError: a row names no language and the recipe none either, a language code is unknown,
            or fewer than two rows are left.
    """
    rows: list[Row] = []
    dropped: list[str] = []
    refused: list[Refused] = []
    for utterance in utterances:
        if utterance.id in condemned and not settings.condemned_weight:
            dropped.append(utterance.id)
            continue
        row = to_row(utterance, settings)
        if isinstance(row, Refused):
            refused.append(row)
        elif utterance.id in condemned:
            rows.append(replace(row, weight=settings.condemned_weight))
        else:
            rows.append(row)
    sound = [row for row in rows if row.utterance.id not in condemned]
    held = hold_out(sound, settings.evaluation_share, settings.evaluation_limit)
    training = [row for row in rows if row.utterance.id not in held]
    if not training or not held:
        raise UserError(
            f"{len(rows)} of {len(utterances)} rows are left to train on ({len(dropped)} condemned "
            f"by the audit, {len(refused)} refused); at least 2 are needed, one of them not "
            "condemned, to evaluate on"
        )
    return Selection(training, [row for row in rows if row.utterance.id in held], dropped, refused)


def to_row(utterance: Utterance, settings: recipe.Data) -> Row | Refused:
    """Length and language of one utterance; refused: no words, unreadable, or past the limits.

    Raises:
        UserError: the row names no language and the settings none either, or an unknown one.
    """
    language = utterance.lang or settings.language
    if not normalise(utterance.text, language):
        return Refused(utterance.id, "no_words", "the transcript holds no letter or digit")
    seconds = stored_duration(utterance)
    if seconds is None:
        return Refused(utterance.id, "unreadable", f"{utterance.audio_name}: cannot be read")
    fault = check_length(utterance.id, seconds, settings)
    if fault is not None:
        return fault
    if language is None:
        raise UserError(
            f"{utterance.origin}: the row names no language; add a `lang` column, or say "
            "data.language=… for all rows without one"
        )
    return Row(utterance, seconds, language_name(language))


def check_length(id: str, seconds: Seconds, settings: recipe.Data) -> Refused | None:
    """Hold one length against the recipe's window; None: it fits."""
    if seconds > settings.max_seconds:
        return Refused(
            id, "too_long", f"{seconds:.2f} s, data.max_seconds is {settings.max_seconds:g}"
        )
    if seconds < settings.min_seconds:
        return Refused(
            id, "too_short", f"{seconds:.2f} s, data.min_seconds is {settings.min_seconds:g}"
        )
    return None


def check_tokens(id: str, tokens: int, settings: recipe.Data) -> Refused | None:
    """Hold the tokens of prompt, audio and transcript against the recipe; None: they fit."""
    if tokens > settings.max_tokens:
        return Refused(
            id, "too_many_tokens", f"{tokens} tokens, data.max_tokens is {settings.max_tokens}"
        )
    return None


def refuse_long_texts(
    selection: Selection, count_tokens: Callable[[Row], int], settings: recipe.Data
) -> Selection:
    """Move the rows with too many tokens to the refused ones; `count_tokens` counts all of a row.

    Raises:
        UserError: nothing is left to train or to evaluate on.
    """
    refused = list(selection.refused)

    def fitting(rows: list[Row]) -> list[Row]:
        kept = []
        for row in rows:
            fault = check_tokens(row.utterance.id, count_tokens(row), settings)
            if fault is None:
                kept.append(row)
            else:
                refused.append(fault)
        return kept

    training, evaluation = fitting(selection.training), fitting(selection.evaluation)
    if not training or not evaluation:
        raise UserError(
            "every row for training or evaluation has too many tokens; raise data.max_tokens "
            f"(now {settings.max_tokens})"
        )
    return Selection(training, evaluation, selection.dropped, refused)


def hold_out(rows: Sequence[Row], share: float, limit: int) -> set[str]:
    """Ids of the rows to evaluate on, by a hash of them.

    The hash decides for each row by itself, so a row stays on its side when others come or go, as
    long as `limit` is not reached: at least one row is held out, and at most so many.
    """
    by_hash = sorted(rows, key=lambda row: _hash(row.utterance.id))
    below = sum(_hash(row.utterance.id) < share for row in by_hash)
    return {row.utterance.id for row in by_hash[: min(max(below, 1), limit)]}


def _hash(id: str) -> float:
    """A number from 0 to 1 that the id alone decides."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8]) / 2**64


def audio_tokens(seconds: Seconds) -> int:
    """How many placeholder tokens Qwen3-ASR gives to audio of this length.

    Each whole second of 100 mel frames becomes 13 tokens, the rest an eighth of its frames.
    """
    # The feature extractor pads clips below half a second up to it.
    whole, rest = divmod(int(max(seconds, 0.5) * FRAMES_PER_SECOND), FRAMES_PER_SECOND)
    return whole * 13 + -(-rest // 8)


def batches(
    rows: Sequence[Row], batch_seconds: Seconds, *, seed: int, epoch: int
) -> list[list[int]]:
    """Indices into `rows`, in batches of similar length, in an order that seed and epoch decide.

    A batch holds at most `batch_seconds` of padded audio (its longest row times its number of
    rows); a row that is longer by itself makes a batch of one.
    """
    # Not lhotse's DynamicBucketingSampler (1.33): its last cut may take a batch past the bound, as
    # in 3 of 576 in a trial, and its batches of seed 2 in epoch 1 are those of seed 1 in epoch 2.
    generator = random.Random(f"{seed}/{epoch}")
    order = list(range(len(rows)))
    generator.shuffle(order)
    # Whole seconds, so that rows of similar length meet others in each epoch.
    order.sort(key=lambda index: int(rows[index].seconds))
    result: list[list[int]] = []
    longest = 0.0
    for index in order:
        longest = max(longest, rows[index].seconds)
        if result and longest * (len(result[-1]) + 1) <= batch_seconds:
            result[-1].append(index)
        else:
            result.append([index])
            longest = rows[index].seconds
    generator.shuffle(result)
    return result
