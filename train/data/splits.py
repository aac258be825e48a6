"""Which splits of a corpus train, evaluate and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance
from asr_gate.train import recipes
from asr_gate.train.plan import PlannedSplits

TRAIN = ("train", "training")
EVALUATION = ("dev", "validation", "valid", "val", "development", "eval")
TEST = ("test",)
"""Usual names of splits, in any case of letters; the first that is there is taken."""


def choose_splits(utterances: Sequence[Utterance], settings: recipes.Data) -> PlannedSplits | None:
    """The splits to train, evaluate and test on: those that the recipe names, or the usual ones.

    Manifests of their own that the recipe names take the place of a split.

    Returns:
        None: no row has a split, and the recipe names none.

    Raises:
        UserError: the corpus has splits, and it cannot be told which one to train on; or the recipe
            names one that is not there, or one for two purposes.
    """
    rows = Counter(utterance.split for utterance in utterances)
    there = {name: count for name, count in rows.items() if name is not None}
    asked = {
        "split": settings.split,
        "evaluation_split": settings.evaluation_split,
        "test_split": settings.test_split,
    }
    for key, name in asked.items():
        if name is not None and name not in there:
            raise UserError(f"data.{key}: no row is of split '{name}'; {_told(there)}")
    given = [name for name in asked.values() if name is not None]
    if len(set(given)) < len(given):
        raise UserError("data.split, evaluation_split and test_split must be three splits")
    if not there:
        return None
    train = settings.split or _usual(TRAIN, there, given)
    if train is None:
        raise UserError(f"no split is called train; {_told(there)}; name one with data.split=NAME")
    taken = [*given, train]
    evaluation, test = settings.evaluation_split, settings.test_split
    if evaluation is None and not settings.validation:
        evaluation = _usual(EVALUATION, there, taken)
    if test is None and not settings.test:
        test = _usual(TEST, there, taken)
    return PlannedSplits(
        train=train,
        evaluation=evaluation,
        test=test,
        rows={name or "": n for name, n in rows.items()},
    )


def _usual(names: Sequence[str], there: Mapping[str, int], taken: Sequence[str]) -> str | None:
    free = {name.casefold(): name for name in there if name not in taken}
    return next((free[name] for name in names if name in free), None)


def _told(there: Mapping[str, int]) -> str:
    if not there:
        return "the corpus has no splits"
    return "the corpus has " + ", ".join(f"{name} ({count} rows)" for name, count in there.items())
