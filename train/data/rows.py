"""Which rows train, which evaluate and test, and which are refused.

No audio is decoded here: lengths come from the manifest or from the file's header.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.speech.audio import stored_duration
from asr_gate.corpus.utterance import Corpus, Seconds, Utterance
from asr_gate.train import recipes
from asr_gate.train.data.hold_out import HoldOut, bounded, halves, hold_out
from asr_gate.train.data.languages import language_name
from asr_gate.train.data.normalise import normalise
from asr_gate.train.data.own_sets import OwnSets
from asr_gate.train.data.splits import choose_splits
from asr_gate.train.plan import PlannedHoldOut, PlannedSplits, Refused

LATE: Seconds = 60.0
"""Start of a segment from which finding it takes as long as everything else of reading it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance that trains or is evaluated on."""

    utterance: Utterance
    seconds: Seconds
    language: str
    """English name: `Hebrew`; empty: the model is to say it."""
    weight: float = 1.0
    """Weight of each of its tokens in the loss."""
    tokens: int = 0
    """Of prompt, audio and transcript together; 0: not counted yet."""
    window: Seconds = 0.0
    """The model pads shorter audio to this."""

    @property
    def padded(self) -> Seconds:
        """The audio that the model computes on, if the row is alone in its batch."""
        return max(self.seconds, self.window)


@dataclass(frozen=True)
class Selection:
    """The audited corpus, divided: a row is in one of the lists, or of a split that is not used."""

    training: list[Row]
    evaluation: list[Row]
    excluded: list[str]
    """Ids of the rows that the audit excluded and that do not train."""
    refused: list[Refused]
    test: list[Row] = field(default_factory=list)
    """Rows of the test split, or of manifests of their own; empty: there are none."""
    splits: PlannedSplits | None = None
    """Which splits these are of; None: the corpus has no splits."""
    evaluation_of: int = 0
    """How many rows those to evaluate on were chosen from."""
    hold_out: PlannedHoldOut | None = None
    """How they were held out; None: they are of a split, or of manifests of their own."""
    set_aside: list[str] = field(default_factory=list)
    """Ids of the rows that neither train nor evaluate, since others of their speaker or recording
    are held out."""

    def rows(self) -> list[Row]:
        """The rows that train, evaluate or test."""
        return [*self.training, *self.evaluation, *self.test]


def select(
    utterances: Sequence[Utterance],
    excluded: Collection[str],
    settings: recipes.Data,
    own: OwnSets = OwnSets(),  # noqa: B008  (frozen)
) -> Selection:
    """Divide a corpus into rows that train, evaluate, test, are excluded, or are refused by a rule.

    Splits are kept apart: only rows of the training split train, and those of the evaluation and
    the test split evaluate and test. Manifests of their own take the place of these two. With
    neither, rows of the training split are held out. With `excluded_weight`, rows that the audit
    excluded train too. They never evaluate, so the evaluation is the same at every weight.

    Raises:
        UserError: no split is to be trained on, neither a row nor the recipe names a language, a
            language code is unknown, or no row is left to train or to evaluate on.
    """
    splits = choose_splits(utterances, settings)
    used = utterances if splits is None else [u for u in utterances if splits.uses(u.split)]
    left_out: list[str] = []
    admitted: list[Utterance] = []
    for utterance in used:
        trains = splits is None or utterance.split == splits.train
        if utterance.id in excluded and not (trains and settings.excluded_weight):
            left_out.append(utterance.id)
        else:
            admitted.append(utterance)
    refused: list[Refused] = []
    rows = [
        replace(row, weight=settings.excluded_weight) if row.utterance.id in excluded else row
        for row in _usable(admitted, settings, refused)
    ]
    training = rows if splits is None else _of(rows, splits.train)
    held: HoldOut | None = None
    if own.validation is not None:
        candidates = _usable_of(own.validation, settings, refused)
    elif splits is not None and splits.evaluation is not None:
        candidates = _of(rows, splits.evaluation)
    else:
        accepted = [row.utterance for row in training if row.utterance.id not in excluded]
        held = hold_out(accepted, settings)
        candidates = [row for row in training if held.holds(row.utterance)]
        training = [row for row in training if not held.holds(row.utterance)]
    test = (
        _of(rows, None if splits is None else splits.test)
        if own.test is None
        else _usable_of(own.test, settings, refused)
    )
    out_of_training = candidates if held else []
    if settings.evaluation_part != "all":
        candidates, test = _part(candidates, test, settings), []
    able = [row.utterance for row in candidates if not held or row.utterance.id not in excluded]
    whole = settings.evaluation_part == "confirm"
    chosen = bounded(able, len(able) if whole else settings.evaluation_limit)
    if not training or not chosen:
        where = "" if splits is None else f" of split {splits.train} or {splits.evaluation}"
        raise UserError(
            f"{len(rows)} of {len(used)} rows{where} are left to train on ({len(left_out)} "
            f"excluded by the audit, {len(refused)} refused); at least 2 are needed, and one of "
            "them must not be excluded, to evaluate on"
        )
    return Selection(
        training=training,
        evaluation=[row for row in candidates if row.utterance.id in chosen],
        excluded=left_out,
        refused=refused,
        test=test,
        splits=splits,
        evaluation_of=len(able),
        hold_out=None if held is None else held.planned,
        set_aside=[row.utterance.id for row in out_of_training if row.utterance.id not in chosen],
    )


def _part(candidates: list[Row], test: list[Row], settings: recipes.Data) -> list[Row]:
    """The rows to choose by, or those that confirm the choice; see `Data.evaluation_part`."""
    confirm = settings.evaluation_part == "confirm"
    if test:
        return test if confirm else candidates
    first, second = halves([row.utterance for row in candidates])
    ids = second if confirm else first
    return [row for row in candidates if row.utterance.id in ids]


def _usable(
    utterances: Iterable[Utterance], settings: recipes.Data, refused: list[Refused]
) -> list[Row]:
    """The rows that no rule refuses; the others are appended to `refused`."""
    rows = []
    for utterance in utterances:
        row = to_row(utterance, settings)
        if isinstance(row, Refused):
            refused.append(row)
        else:
            rows.append(row)
    return rows


def _usable_of(corpus: Corpus, settings: recipes.Data, refused: list[Refused]) -> list[Row]:
    """The rows of manifests of their own; no audit has listed those that could not be read."""
    refused += [Refused(row.id, "skipped", row.reason) for row in corpus.skipped]
    return _usable(corpus.utterances, settings, refused)


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


def refuse_unfit(
    selection: Selection, admit: Callable[[Row], Row | Refused], settings: recipes.Data
) -> Selection:
    """Count the tokens of every row, and move those that the model cannot take to the refused ones.

    Args:
        selection: the rows so far.
        admit: of the model's encoder.
        settings: the recipe's limits.

    Raises:
        UserError: no row is left to train or to evaluate on.
    """
    refused = list(selection.refused)

    def fitting(rows: list[Row]) -> list[Row]:
        kept = []
        for row in rows:
            admitted = admit(row)
            if isinstance(admitted, Row):
                kept.append(admitted)
            else:
                refused.append(admitted)
        return kept

    training, evaluation = fitting(selection.training), fitting(selection.evaluation)
    if not training or not evaluation:
        one = refused[-1]
        raise UserError(
            "no row that the model can take is left for training or evaluation, e.g. "
            f"{one.id}: {one.rule}, {one.reason}; fix these rows, or raise data.max_tokens (now "
            f"{settings.max_tokens})"
        )
    test = fitting(selection.test)
    return replace(selection, training=training, evaluation=evaluation, test=test, refused=refused)


def is_slow_to_read(row: Row) -> bool:
    """Whether it starts late in an MP3, which is decoded from its start each time.

    WAV, FLAC, Opus and Vorbis find a place in the middle at once.
    """
    utterance = row.utterance
    return utterance.audio_name.lower().endswith(".mp3") and utterance.offset >= LATE
