"""Which rows train, which are held out for evaluation, and which are refused.

No audio is decoded here: lengths come from the manifest or from the file's header.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Seconds, Utterance
from asr_gate.train import recipes
from asr_gate.train.data.languages import language_name
from asr_gate.train.data.normalise import normalise
from asr_gate.train.data.splits import choose_splits
from asr_gate.train.record import PlannedSplits, Refused


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance that trains or is evaluated on."""

    utterance: Utterance
    seconds: Seconds
    language: str
    """Name in the prompt: `English`; empty: the model is to say it."""
    weight: float = 1.0
    """Weight of each of its tokens in the loss."""


@dataclass(frozen=True)
class Selection:
    """The audited corpus, divided: a row is in one of the lists, or of a split that is not used."""

    training: list[Row]
    evaluation: list[Row]
    excluded: list[str]
    """Ids of the rows that the audit excluded and that do not train."""
    refused: list[Refused]
    test: list[Row] = field(default_factory=list)
    """Rows of the test split; empty: there is none."""
    splits: PlannedSplits | None = None
    """Which splits these are of; None: the corpus has no splits."""

    def rows(self) -> list[Row]:
        """The rows that train, evaluate or test."""
        return [*self.training, *self.evaluation, *self.test]


def select(
    utterances: Sequence[Utterance], excluded: Collection[str], settings: recipes.Data
) -> Selection:
    """Divide a corpus into rows that train, evaluate, test, are excluded, or are refused by a rule.

    Splits are kept apart: only rows of the training split train, and those of the evaluation and
    the test split evaluate and test. Without an evaluation split, rows of the training split are
    held out. With `excluded_weight`, rows that the audit excluded train too. They never evaluate,
    so the evaluation is the same at every weight.

    Raises:
        UserError: no split is to be trained on, neither a row nor the recipe names a language, a
            language code is unknown, or no row is left to train or to evaluate on.
    """
    splits = choose_splits(utterances, settings)
    used = utterances if splits is None else [u for u in utterances if splits.uses(u.split)]
    rows: list[Row] = []
    left_out: list[str] = []
    refused: list[Refused] = []
    for utterance in used:
        trains = splits is None or utterance.split == splits.train
        if utterance.id in excluded and not (trains and settings.excluded_weight):
            left_out.append(utterance.id)
            continue
        row = to_row(utterance, settings)
        if isinstance(row, Refused):
            refused.append(row)
        elif utterance.id in excluded:
            rows.append(replace(row, weight=settings.excluded_weight))
        else:
            rows.append(row)
    train = rows if splits is None else _of(rows, splits.train)
    if splits is None or splits.evaluation is None:
        candidates = [row for row in train if row.utterance.id not in excluded]
        held = hold_out(candidates, settings.evaluation_share, settings.evaluation_limit)
    else:
        held = hold_out(_of(rows, splits.evaluation), 1.0, settings.evaluation_limit)
    training = [row for row in train if row.utterance.id not in held]
    if not training or not held:
        where = "" if splits is None else f" of split {splits.train} or {splits.evaluation}"
        raise UserError(
            f"{len(rows)} of {len(used)} rows{where} are left to train on ({len(left_out)} "
            f"excluded by the audit, {len(refused)} refused); at least 2 are needed, and one of "
            "them must not be excluded, to evaluate on"
        )
    return Selection(
        training=training,
        evaluation=[row for row in rows if row.utterance.id in held],
        excluded=left_out,
        refused=refused,
        test=_of(rows, None if splits is None else splits.test),
        splits=splits,
    )


def _of(rows: Sequence[Row], split: str | None) -> list[Row]:
    """The rows of a split; none if there is no such split."""
    return [row for row in rows if split is not None and row.utterance.split == split]


def to_row(utterance: Utterance, settings: recipes.Data) -> Row | Refused:
    """Length and language of one utterance; refused: no words, unreadable, or outside the limits.

    Raises:
        UserError: neither the row nor the settings name a language, or it is unknown.
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


def check_length(id: str, seconds: Seconds, settings: recipes.Data) -> Refused | None:
    """Check a length against the recipe's limits; None: it is within them."""
    if seconds > settings.max_seconds:
        return Refused(
            id, "too_long", f"{seconds:.2f} s, data.max_seconds is {settings.max_seconds:g}"
        )
    if seconds < settings.min_seconds:
        return Refused(
            id, "too_short", f"{seconds:.2f} s, data.min_seconds is {settings.min_seconds:g}"
        )
    return None


def check_tokens(id: str, tokens: int, settings: recipes.Data) -> Refused | None:
    """Check a number of tokens against the recipe's limit; None: it is within it."""
    if tokens > settings.max_tokens:
        return Refused(
            id, "too_many_tokens", f"{tokens} tokens, data.max_tokens is {settings.max_tokens}"
        )
    return None


def refuse_long_texts(
    selection: Selection, count_tokens: Callable[[Row], int], settings: recipes.Data
) -> Selection:
    """Move the rows with too many tokens to the refused ones.

    Args:
        selection: the rows so far.
        count_tokens: gives the tokens of a row's prompt, audio and transcript together.
        settings: the recipe's limits.

    Raises:
        UserError: no row is left to train or to evaluate on.
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
    test = fitting(selection.test)
    return replace(selection, training=training, evaluation=evaluation, test=test, refused=refused)


def hold_out(rows: Sequence[Row], share: float, limit: int) -> set[str]:
    """Ids of the rows to evaluate on, chosen by a hash of the id.

    The hash decides about each row separately, so a row stays on its side when other rows come or
    go, unless `limit` is reached. At least one row is held out, and at most `limit`.
    """
    by_hash = sorted(rows, key=lambda row: _hash(row.utterance.id))
    below = sum(_hash(row.utterance.id) < share for row in by_hash)
    return {row.utterance.id for row in by_hash[: min(max(below, 1), limit)]}


def _hash(id: str) -> float:
    """A number from 0 to 1 that depends on the id alone."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8]) / 2**64
