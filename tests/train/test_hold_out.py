"""What is held out, and which of many rows evaluate."""

import random
from collections import Counter

import pytest

from asr_gate.corpus.errors import UserError
from asr_gate.corpus.utterance import Utterance
from asr_gate.train.data.hold_out import bounded, hold_out, shares
from asr_gate.train.recipes import Data
from tests.train.support import utterance


def held(rows: list[Utterance], **settings: object) -> list[Utterance]:
    """The rows that do not train."""
    found = hold_out(rows, Data(**settings))
    return [row for row in rows if found.holds(row)]


def spoken(speakers: int, rows: int, *, recordings: int = 3, seed: int = 1) -> list[Utterance]:
    """Rows of speakers of very different size; each has recordings of its own."""
    draw = random.Random(seed)
    weights = [draw.expovariate(1) + 0.1 for _ in range(speakers)]
    made = []
    for number, who in enumerate(draw.choices(range(speakers), weights, k=rows)):
        name = f"{seed}-{who}-{draw.randrange(recordings)}.wav"
        made.append(utterance(f"u{number}", speaker=f"s{seed}-{who}", recording=name))
    return made


def test_rows_stay_on_their_side_when_others_come_and_go() -> None:
    rows = [utterance(f"u{i}", recording=f"{i}.wav") for i in range(400)]
    found = held(rows, evaluation_share=0.1)
    assert 20 <= len(found) <= 60
    assert held(rows[:200], evaluation_share=0.1) == [row for row in found if row in rows[:200]]
    assert held(rows[::-1], evaluation_share=0.1) == found[::-1]
    assert len(held(rows[:3], evaluation_share=0.0001)) == 1


@pytest.mark.parametrize("by", ["speaker", "recording"])
def test_whole_speakers_and_recordings_are_held_out(by: str) -> None:
    for seed in range(8):
        rows = spoken(60, 900, seed=seed)
        if by == "recording":
            rows = [utterance(row.id, recording=row.audio_name) for row in rows]
        found = hold_out(rows, Data(evaluation_limit=10**6))
        assert found.planned.by == by and found.planned.why is None
        out = [row for row in rows if found.holds(row)]
        kept = [row for row in rows if not found.holds(row)]
        assert not {row.audio_name for row in out} & {row.audio_name for row in kept}
        assert {row.speaker for row in out} & {row.speaker for row in kept} <= {None}
        assert 0 < len(out) <= 0.1 * len(rows)
        more = [
            *rows,
            *(utterance(f"n{i}", speaker="s0-3", recording="0-3-0.wav") for i in range(9)),
        ]
        again = hold_out(more, Data(evaluation_limit=10**6))
        assert len(again.groups ^ found.groups) <= 1  # only where twice the share is reached


def test_the_share_is_about_right() -> None:
    sizes = [len(held(spoken(200, 900, seed=seed), evaluation_limit=10**6)) for seed in range(9)]
    assert 0.03 < sum(sizes) / len(sizes) / 900 < 0.07


@pytest.mark.parametrize(
    ("rows", "by", "why"),
    [
        (spoken(1, 300, recordings=40), "recording", "1 speaker"),
        (spoken(5, 300, recordings=40), "recording", "5 speakers"),
        (spoken(1, 300, recordings=2), "row", "1 speaker, 2 recordings"),
        (
            [*spoken(20, 100), *(utterance(f"m{i}", speaker="most") for i in range(200))],
            "row",
            "one speaker has more than half of the rows, "
            "one recording has more than half of the rows",
        ),
        ([utterance(f"u{i}", recording=f"{i}.wav") for i in range(30)], "recording", None),
    ],
)
def test_too_few_or_too_large_ones_are_divided(rows: list[Utterance], by: str, why: str) -> None:
    planned = hold_out(rows, Data()).planned
    assert (planned.by, planned.why) == (by, why)


def test_what_a_recipe_asks_for_counts() -> None:
    rows = spoken(3, 300)
    assert hold_out(rows, Data(hold_out_by="speaker")).planned.by == "speaker"
    assert len({row.speaker for row in held(rows, hold_out_by="speaker")}) == 1
    assert hold_out(spoken(50, 300), Data(hold_out_by="row")).planned.groups == 300
    with pytest.raises(UserError, match="no row names a speaker"):
        hold_out([utterance("a"), utterance("b")], Data(hold_out_by="speaker"))
    with pytest.raises(UserError, match="all rows are of one recording"):
        hold_out([utterance("a"), utterance("b")], Data(hold_out_by="recording"))


def test_a_limit_takes_no_more_groups_than_it_needs_and_not_one_alone() -> None:
    rows = spoken(1000, 6000, recordings=1)
    found = hold_out(rows, Data(evaluation_limit=100))
    assert 20 <= found.planned.held <= 35
    assert found.planned.held < hold_out(rows, Data(evaluation_limit=10**6)).planned.held


def test_each_domain_is_evaluated() -> None:
    rows = [utterance(f"u{i}", recording=f"{i}.wav", domain="clean") for i in range(990)]
    rows += [utterance(f"r{i}", recording=f"r{i}.wav", domain="rare") for i in range(10)]
    assert {row.domain for row in held(rows)} == {"clean", "rare"}
    most = Counter(row.domain for row in held(rows, evaluation_limit=20))
    assert most["clean"] >= 15 and most["rare"] >= 1


def test_an_evaluation_is_bounded_fixed_and_stratified() -> None:
    rows = [utterance(f"a{i}", domain="a") for i in range(1800)]
    rows += [utterance(f"b{i}", domain="b") for i in range(600)]
    rows += [utterance(f"c{i}", domain="c") for i in range(30)]
    found = bounded(rows, 500)
    assert len(found) == 500
    assert found == bounded(rows[::-1], 500)
    assert Counter(name[0] for name in found) == shares({"a": 1800, "b": 600, "c": 30}, 500)
    assert bounded(rows, 10**5) == {row.id for row in rows}
    # A larger limit adds rows, and more rows change few.
    assert found <= bounded(rows, 600)
    assert (
        len(found - bounded([*rows, *(utterance(f"n{i}", domain="a") for i in range(9))], 500)) < 9
    )


def test_shares_are_whole_and_sum_up() -> None:
    draw = random.Random(2)
    for _ in range(500):
        sizes = {str(i): draw.randrange(1, 200) for i in range(draw.randrange(1, 30))}
        limit = draw.randrange(1, 400)
        found = shares(sizes, limit)
        assert sum(found.values()) == min(limit, sum(sizes.values()))
        assert all(found[name] <= size for name, size in sizes.items())
        if limit >= 10 * len(sizes):
            assert all(found[name] >= min(10, size) for name, size in sizes.items())
    assert shares({"a": 9000, "b": 3000, "c": 30}, 500) == {"a": 362, "b": 127, "c": 11}
