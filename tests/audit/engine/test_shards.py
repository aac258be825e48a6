"""Shards follow from the plan, and each belongs to one share."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_gate.audit.engine.shards import Shard, Share, cut
from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance

ROWS = [
    Utterance(f"u{number}", "x", Path("a.wav"), "a.wav", f"m:{number}") for number in range(300)
]
LENGTHS = dict.fromkeys((u.id for u in ROWS), 8.0)


def test_a_row_more_or_less_changes_its_own_shard_alone() -> None:
    whole = [shard.rows for shard in cut(ROWS, 60.0, LENGTHS)]
    assert [u for rows in whole for u in rows] == ROWS
    assert all(120 <= 8 * len(rows) <= 480 for rows in whole[:-1])
    less = [shard.rows for shard in cut(ROWS[:100] + ROWS[101:], 60.0, LENGTHS)]
    assert sum(rows not in whole for rows in less) <= 2


def test_every_shard_belongs_to_one_share() -> None:
    shares = [Share.parse(f"{number}/3") for number in (1, 2, 3)]
    for shard in cut(ROWS, 60.0, LENGTHS):
        assert sum(share.has(shard) for share in shares) == 1
    assert Shard(0, ROWS[:3]).missing({"u1"}) == 2


@pytest.mark.parametrize("given", ["0/4", "5/4", "1/0", "1", "a/b", "1/4/2", "-1/4", "\u0661/4"])
def test_a_share_that_makes_no_sense_is_refused(given: str) -> None:
    with pytest.raises(UserError, match="1/4"):
        Share.parse(given)
