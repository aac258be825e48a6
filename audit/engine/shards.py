"""Shards: the work of an audit in pieces that any worker can do, wherever it runs.

A shard is a group of utterances whose batches are filled together. The plan alone decides what is
in it, and each utterance is measured the same whoever does it. So it does not matter who measures
which shard, how often, or in what order: their measurements are put together by the plan.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr_gate.audit.sample.lot import lot
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Seconds, Utterance

BATCHES = 4
"""A shard holds utterances for about so many batches: enough to fill them well."""


@dataclass(frozen=True, slots=True)
class Shard:
    """What one worker measures at a time."""

    number: int
    """In the plan, from 0."""
    rows: list[Utterance]

    def missing(self, measured: Container[str]) -> int:
        """How many of its utterances are not among the measured ids."""
        return sum(row.id not in measured for row in self.rows)


@dataclass(frozen=True, slots=True)
class Share:
    """The shards that one of several processes measures: `number` of `of`, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, given: str) -> Share:
        """Read `2/4`.

        Raises:
            UserError: it is something else.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", given)
        share = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= share.number <= share.of:
            raise UserError(
                f"--shard {given}: give a number and how many there are, such as 1/4, 2/4, 3/4, 4/4"
            )
        return share

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, shard: Shard) -> bool:
        """Whether it measures a shard."""
        return shard.number % self.of == self.number - 1


def cut(
    sample: Sequence[Utterance], batch_seconds: Seconds, lengths: Mapping[str, Seconds]
) -> Iterator[Shard]:
    """The shards of a sample, in its order.

    Shards end at ids drawn by lot, so that a row more or less changes its own shard alone: on a GPU
    what a shard holds decides its batches.

    Args:
        sample: the utterances of the plan.
        batch_seconds: padded audio in one batch.
        lengths: of the utterances, by id.
    """
    seconds = BATCHES * batch_seconds
    number, total = 0, 0.0
    rows: list[Utterance] = []
    for utterance in sample:
        rows.append(utterance)
        total += lengths[utterance.id]
        drawn = lot("end of a group", utterance.id) % 8 == 0
        if total >= 2 * seconds or (drawn and total >= seconds / 2):
            yield Shard(number, rows)
            number, rows, total = number + 1, [], 0.0
    if rows:
        yield Shard(number, rows)
