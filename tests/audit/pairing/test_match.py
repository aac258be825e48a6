"""Which utterances say another row's text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asr_gate.audit.pairing.match import FEW, MOST, match
from asr_gate.audit.records.measured import Measured
from asr_gate.audit.records.pairing import OtherText
from asr_gate.corpus.utterance import Corpus, Utterance
from tests.audit.controls.rows import row


def texts(*losses: float, letters: int = 40) -> tuple[OtherText, ...]:
    return tuple(OtherText(f"t{at}", letters, loss) for at, loss in enumerate(losses))


def searched(number: int, own: float, *losses: float, letters: int = 40) -> Measured:
    """Its own text costs `own` nats a letter, those of t0, t1, … `losses`."""
    measured = row(number, mismatch=own)
    return replace(measured, letters=letters, others=texts(*losses, letters=letters))


def corpus(*rows: Measured) -> Corpus:
    named = [(r.id, f"what {r.id} has is no one else's") for r in rows] + [
        ("t0", "Nobody will ever say so."),
        ("t0b", "nobody will ever say so"),
        ("t1", "quite another thing"),
    ]
    utterances = [
        Utterance(i, t, Path("a.wav"), "a.wav", f"m:{n}") for n, (i, t) in enumerate(named)
    ]
    return Corpus(utterances, ["m"])


def test_a_text_that_costs_far_less_than_the_next_is_the_right_one() -> None:
    one = searched(1, 0.9, 0.1, 0.8, 0.85)
    found = match([one], corpus(one), false_alarm=0.01)
    partner = found.partners[one.id]
    assert partner.rows == ("t0", "t0b")
    assert partner.ratio == 0.1 / 0.8
    assert partner.mismatch == 0.1
    assert found.mismatches == {one.id: 0.1}
    assert found.searched == 1


def test_nothing_is_found_where_the_own_text_or_none_is_right() -> None:
    rows = [
        searched(1, 0.05, 0.6, 0.8, 0.9),  # its own
        searched(2, 0.9, 0.75, 0.8, 0.9),  # none
        searched(3, 0.12, 0.1, 0.8, 0.9),  # its own has a word wrong, a like one is right
        row(4, mismatch=0.9),  # not searched
    ]
    assert not match(rows, corpus(*rows), false_alarm=0.01).partners


def test_how_far_wrong_texts_lie_apart_sets_the_limit() -> None:
    """Even where every own text is wrong, and among short texts alone for short ones."""
    far = [searched(n, 0.9, 0.05, 0.5, 0.9) for n in range(FEW)]  # wrong texts: 0.5 to 0.9
    doubtful = searched(99, 0.9, 0.6 * 0.9, 0.9, 0.95)
    found = match([*far, doubtful], corpus(*far, doubtful), false_alarm=0.01)
    assert found.ratio[False] < 0.6 < MOST[False]
    assert found.partners.keys() == {one.id for one in far}
    digits = [searched(n, 0.9, 0.05, 0.8, 0.9, letters=4) for n in range(3)]
    assert not match(digits, corpus(*digits), false_alarm=0.01).partners
    short = [searched(n, 0.9, 0.3, 0.5, 0.9, letters=12) for n in range(3)]
    assert not match(short, corpus(*short), false_alarm=0.01).partners
    assert found.ratio[True] == MOST[True]


def test_which_of_two_texts_it_is_must_not_rest_on_a_few_letters() -> None:
    card = replace(searched(1, 0.9, 0.1, 0.8, 0.85), others=(
        OtherText("a", 12, 0.1), OtherText("b", 13, 0.5), OtherText("t1", 17, 0.9),
    ))  # fmt: skip
    own = replace(card, id="b")
    for one in (card, own):
        those = corpus(one)
        cards = [(i, f"{i} the {n} of clubs") for i, n in (("a", "seven"), ("b", "ten"))]
        more = [replace(those.utterances[0], id=i, text=t[2:]) for i, t in cards]
        rows = [u for u in those.utterances if u.id != "b"] + more
        found = match([one], Corpus(rows, ["m"]), false_alarm=0.01)
        assert not found.partners
        assert found.unsure[one.id] == (("a", "b") if one is card else ("a",))


def test_texts_that_fit_about_as_well_are_candidates() -> None:
    rows = [
        searched(1, 0.9, 0.2, 0.22, 0.8),
        searched(2, 0.2, 0.19, 0.8, 0.9),  # its own is among them
        searched(3, 0.9, 0.1, 0.8, 0.9),  # found
    ]
    assert match(rows, corpus(*rows), false_alarm=0.01).unsure == {rows[0].id: ("t0", "t1")}
